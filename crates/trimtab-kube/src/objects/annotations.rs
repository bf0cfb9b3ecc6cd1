//! The `trimtab.dev/` annotations of a Service.

use std::time::Duration;

use trimtab_core::objects::{ServicePort, TrafficMetrics, Tuning};
use trimtab_core::{Protocol, Scheduler, VirtualServerFlags};

use super::Known;
use super::decoded::{Problems, Severity, quoted};
use super::metadata::Entries;
use trimtab_core::duration::parse_duration;

const PREFIX: &str = "trimtab.dev/";
/// Longer than any rollout; a longer value is a mistake.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// One annotation: its description for the reference, and its parser.
struct Annotation {
    known: Known,
    read: fn(&str, &mut Tuning) -> Result<(), String>,
}

static ANNOTATIONS: [Annotation; 6] = [
    Annotation {
        known: Known {
            key: "trimtab.dev/scheduler",
            on: &["Service"],
            value: "name of a scheduler",
            default: "`ipvs.scheduler`",
            meaning: "The scheduler of this Service: `rr`, `wrr`, `lc`, `wlc`, `sh`, `mh` or any \
                      other that the kernel has.",
        },
        read: |value, tuning| scheduler(value).map(|one| tuning.scheduler = Some(one)),
    },
    Annotation {
        known: Known {
            key: "trimtab.dev/scheduler-flags",
            on: &["Service"],
            value: "words separated by commas",
            default: "`mh-port` with `mh`, else none",
            meaning: "Flags of the scheduler: `sh-fallback`, `sh-port`, `mh-fallback`, `mh-port`, \
                      or `flag-1`, `flag-2`, `flag-3` for any scheduler.",
        },
        read: |value, tuning| flags(value).map(|flags| tuning.scheduler_flags = Some(flags)),
    },
    Annotation {
        known: Known {
            key: "trimtab.dev/one-packet",
            on: &["Service"],
            value: "`true` or `false`",
            default: "`false`",
            meaning: "Schedule each UDP datagram separately. Only for clients that expect no \
                answer, because an answer would come from the pod's own address.",
        },
        read: |value, tuning| boolean(value).map(|on| tuning.one_packet = on),
    },
    Annotation {
        known: Known {
            key: "trimtab.dev/max-connections",
            on: &["Service"],
            value: "number",
            default: "`0`",
            meaning: "The maximum number of connections of each endpoint; `0` means no limit. \
                Clients are refused when every endpoint is at its limit.",
        },
        read: |value, tuning| number(value).map(|most| tuning.max_connections = most),
    },
    Annotation {
        known: Known {
            key: "trimtab.dev/drain-timeout",
            on: &["Service"],
            value: "duration up to 24h",
            default: "`trimtab.drainTimeout`",
            meaning: "How long a removed endpoint may keep its open TCP connections. `0s` closes \
                them at once.",
        },
        read: |value, tuning| drain(value).map(|time| tuning.drain_timeout = Some(time)),
    },
    Annotation {
        known: Known {
            key: "trimtab.dev/traffic-metrics",
            on: &["Service"],
            value: "`service`, `endpoints` or `off`",
            default: "`trimtab.traffic`",
            meaning: "Whether `/metrics` has the traffic of this Service: per Service port, also \
                per endpoint, or not at all.",
        },
        read: |value, tuning| traffic_metrics(value).map(|which| tuning.traffic_metrics = which),
    },
];

/// Their descriptions for the reference.
pub(super) fn known() -> impl Iterator<Item = Known> {
    ANNOTATIONS.iter().map(|annotation| annotation.known)
}

/// Reads all of them. An invalid one is reported and has no effect.
pub(super) fn tuning(
    annotations: &Entries<'_>,
    ports: &[ServicePort],
    problems: &mut Problems,
) -> Tuning {
    let mut tuning = Tuning::default();
    for (key, value) in annotations.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
        let outcome = match ANNOTATIONS.iter().find(|annotation| annotation.known.key == key) {
            Some(annotation) => (annotation.read)(value, &mut tuning),
            None => Err("unknown annotation".to_owned()),
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

/// A scheduler's flag has another meaning, or none, for another scheduler.
fn check_flags(annotations: &Entries<'_>, tuning: &mut Tuning, problems: &mut Problems) {
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

fn traffic_metrics(value: &str) -> Result<TrafficMetrics, String> {
    match value {
        "service" => Ok(TrafficMetrics::Service),
        "endpoints" => Ok(TrafficMetrics::Endpoints),
        "off" => Ok(TrafficMetrics::Off),
        _ => Err("expected service, endpoints or off".to_owned()),
    }
}

fn drain(value: &str) -> Result<Duration, String> {
    match parse_duration(value) {
        Ok(time) if time <= LONGEST_DRAIN => Ok(time),
        Ok(_) => Err("expected at most 24h".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}
