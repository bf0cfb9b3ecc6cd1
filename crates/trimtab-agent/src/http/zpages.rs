//! `/statusz` and `/flagz`, in the plain-text format of Kubernetes' components (component-base,
//! zpages).

use std::fmt::Write as _;

use jiff::Timestamp;

/// The name under which they introduce themselves.
const COMPONENT: &str = "trimtab";
const WARNING: &str = "Warning: This endpoint is not meant to be machine parseable, has no \
                       formatting compatibility guarantees and is for debugging purposes only.";

/// `/statusz`.
pub(super) fn statusz(started: Timestamp, now: Timestamp, paths: &[&str]) -> String {
    let up = now.duration_since(started).as_secs().max(0);
    let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
    let started = started.strftime("%a %b %e %H:%M:%S UTC %Y");
    format!(
        "\n{COMPONENT} statusz\n{WARNING}\n\nStarted: {started}\n\
         Up: {hours} hr {minutes:02} min {seconds:02} sec\n\
         Binary version: {}\nEmulation version: {}\nPaths: {}\n",
        env!("CARGO_PKG_VERSION"),
        trimtab_metrics::KUBERNETES_RELEASE,
        paths.join(" ")
    )
}

/// `/flagz`: each flag with its value in force, whether it was given or not.
pub(super) fn flagz(flags: &[(&'static str, String)]) -> String {
    let mut text = format!("\n{COMPONENT} flags\n{WARNING}\n\n");
    for (flag, value) in flags {
        let _ = writeln!(text, "{flag}={}", trimtab_core::Printable(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_look_as_those_of_kubernetes_components() {
        let started: Timestamp = "2026-09-06T06:19:51Z".parse().unwrap();
        let now: Timestamp = "2026-09-07T07:20:21Z".parse().unwrap();
        let page = statusz(started, now, &["/healthz", "/metrics"]);
        assert!(page.starts_with("\ntrimtab statusz\nWarning: "), "{page}");
        assert!(page.contains("\n\nStarted: Sun Sep  6 06:19:51 UTC 2026\n"), "{page}");
        assert!(page.contains("\nUp: 25 hr 00 min 30 sec\n"), "{page}");
        assert!(page.ends_with("\nPaths: /healthz /metrics\n"), "{page}");
        let page =
            flagz(&[("cluster-cidr", "10.244.0.0/16".to_owned()), ("v", "2\u{1b}".to_owned())]);
        assert!(page.starts_with("\ntrimtab flags\nWarning: "), "{page}");
        assert!(page.ends_with("\n\ncluster-cidr=10.244.0.0/16\nv=2\\u{1b}\n"), "{page}");
    }
}
