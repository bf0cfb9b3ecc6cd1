//! The daemon as a whole, in a few lines.

use std::fmt::Write as _;

use jiff::Timestamp;
use trimtab_admin::{Drift, Stage, Summary};
use trimtab_core::Printable;

/// As text.
pub(crate) fn text(summary: &Summary, now: Timestamp) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Trimtab {} on {}, up {}: {}",
        summary.version,
        Printable(&summary.node),
        age(summary.started, now),
        state(summary)
    );
    let _ = writeln!(
        text,
        "{} Services, {} virtual servers, {} real servers ({} draining); {} Services pending, {} \
         objects retrying; {} warnings",
        summary.services,
        summary.virtual_servers,
        summary.real_servers,
        summary.draining,
        summary.pending,
        summary.retrying,
        summary.warnings
    );
    let comparison = &summary.comparison;
    let compared = comparison.completed.map_or_else(
        || "not complete yet".to_owned(),
        |at| format!("complete {} ago", age(at, now)),
    );
    let found = comparison.last_drift.map_or_else(
        || "no drift since the start".to_owned(),
        |last| format!("drift {} ago: {}", age(last.at, now), drift(&last.drift)),
    );
    let lag = summary.lag_seconds.map_or_else(|| "none".to_owned(), |lag| format!("{lag:.1} s"));
    let api = summary.api_server.map_or_else(
        || "not heard".to_owned(),
        |api| {
            let lost = if api.followed { "" } else { " (watches fail)" };
            format!("silent for {:.0} s{lost}", api.silent_seconds)
        },
    );
    let _ = writeln!(
        text,
        "comparison with the kernel: {compared}, {found}; lag: {lag}; API server: {api}"
    );
    text
}

fn state(summary: &Summary) -> String {
    let mut state = match (summary.stage, summary.ready) {
        (Stage::Listing, _) => {
            "waiting for complete lists of objects, the kernel is untouched".to_owned()
        }
        (Stage::Programming, _) => "programming the kernel for the first time".to_owned(),
        (Stage::Ready, true) => "ready".to_owned(),
        (Stage::Ready, false) => "not ready".to_owned(),
    };
    if summary.other_proxy {
        state += ", another service proxy programs this node, too";
    }
    if !summary.healthy {
        state += ", changes have waited for too long";
    }
    state
}

fn drift(drift: &Drift) -> String {
    let parts = [
        (drift.virtual_servers, "virtual servers"),
        (drift.real_servers, "real servers"),
        (drift.elements, "ipset elements"),
        (drift.addresses, "VIPs"),
    ];
    let some = parts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// How long ago something was, in the two largest units, as kubectl.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes < 2 => format!("{seconds}s"),
        () if hours < 2 => format!("{minutes}m{}s", seconds % 60),
        () if days < 2 => format!("{hours}h{}m", minutes % 60),
        () => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_its_two_largest_units() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (then, words) in [
            ("2026-01-31T12:00:01Z", "0s"),
            ("2026-01-31T11:58:59Z", "61s"),
            ("2026-01-31T11:57:50Z", "2m10s"),
            ("2026-01-31T09:30:00Z", "2h30m"),
            ("2026-01-28T11:00:00Z", "3d1h"),
        ] {
            assert_eq!(age(then.parse().unwrap(), now), words);
        }
    }
}
