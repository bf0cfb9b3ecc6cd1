//! The `trimtab.dev/` annotations of a Service.

use std::time::Duration;

use trimtab_core::{Protocol, Scheduler, VirtualServerFlags};
use trimtab_reconcile::objects::{ServicePort, Tuning};

use super::decoded::{Problems, Severity, quoted};
use super::metadata::Entries;
use crate::duration::parse_duration;

const PREFIX: &str = "trimtab.dev/";
/// Longer than any rollout; a longer wish is a slip of the pen.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads all of them. One that cannot be used is named and has no effect.
pub(super) fn tuning(
    annotations: &Entries,
    ports: &[ServicePort],
    problems: &mut Problems,
) -> Tuning {
    let mut tuning = Tuning::default();
    for (key, value) in annotations.iter() {
        let Some(word) = key.strip_prefix(PREFIX) else { continue };
        let outcome = match word {
            "scheduler" => scheduler(value).map(|scheduler| tuning.scheduler = Some(scheduler)),
            "scheduler-flags" => flags(value).map(|flags| tuning.scheduler_flags = Some(flags)),
            "one-packet" => boolean(value).map(|on| tuning.one_packet = on),
            "max-connections" => number(value).map(|most| tuning.max_connections = most),
            "drain-timeout" => drain(value).map(|time| tuning.drain_timeout = Some(time)),
            _ => Err("no such annotation".to_owned()),
        };
        if let Err(why) = outcome {
            let message = format!("{}: {why}; ignored", quoted(value));
            problems.add(Severity::Ignored, format!("metadata.annotations[{key}]"), message);
        }
    }
    check_flags(annotations, &mut tuning, problems);
    if tuning.one_packet && !ports.iter().any(|port| port.protocol == Protocol::Udp) {
        tuning.one_packet = false;
        let message = "the Service has no UDP port; ignored".to_owned();
        problems.add(Severity::Ignored, "metadata.annotations[trimtab.dev/one-packet]", message);
    }
    tuning
}

fn scheduler(value: &str) -> Result<Scheduler, String> {
    let names = || Scheduler::known().map(|s| s.name().to_owned()).collect::<Vec<_>>().join(", ");
    value
        .parse::<Scheduler>()
        .ok()
        .filter(Scheduler::is_known)
        .ok_or_else(|| format!("expected one of {}", names()))
}

fn flags(value: &str) -> Result<VirtualServerFlags, String> {
    let mut flags = VirtualServerFlags::empty();
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        flags |= match word {
            "sh-fallback" | "mh-fallback" | "flag-1" => VirtualServerFlags::SCHEDULER_1,
            "sh-port" | "mh-port" | "flag-2" => VirtualServerFlags::SCHEDULER_2,
            "flag-3" => VirtualServerFlags::SCHEDULER_3,
            _ => {
                return Err(
                    "expected words of sh-fallback, sh-port, mh-fallback, mh-port, flag-1, \
                            flag-2, flag-3, separated by commas"
                        .to_owned(),
                );
            }
        };
    }
    Ok(flags)
}

/// A flag named after one scheduler means something else, or nothing, to another.
fn check_flags(annotations: &Entries, tuning: &mut Tuning, problems: &mut Problems) {
    let (Some(words), Some(scheduler)) =
        (annotations.get("trimtab.dev/scheduler-flags"), tuning.scheduler)
    else {
        return;
    };
    let misfit = words.split(',').map(str::trim).find(|word| {
        matches!(word.split_once('-'), Some((family @ ("sh" | "mh"), _)) if family != scheduler.name())
    });
    if let (Some(word), Some(_)) = (misfit, tuning.scheduler_flags) {
        tuning.scheduler_flags = None;
        let message = format!("{word} is not a flag of the scheduler {scheduler}; ignored");
        problems.add(
            Severity::Ignored,
            "metadata.annotations[trimtab.dev/scheduler-flags]",
            message,
        );
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn number(value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| "expected a number of connections, 0 for no limit".to_owned())
}

fn drain(value: &str) -> Result<Duration, String> {
    match parse_duration(value) {
        Ok(time) if time <= LONGEST_DRAIN => Ok(time),
        Ok(_) => Err("expected at most 24h".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}
