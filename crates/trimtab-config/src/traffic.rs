//! `trimtab.traffic`: which traffic is shown in the metrics.

use std::time::Duration;

use crate::complaint::Wrong;
use crate::file::ConfigFile;
use crate::period::Period;

/// As often as Prometheus usually scrapes.
const INTERVAL: Duration = Duration::from_secs(30);
/// The kernel's own estimates, and with them its counters, are brought up to date every two seconds
/// (`ip_vs_est_reload_start`, net/netfilter/ipvs/ip_vs_est.c): nothing is gained by asking more often.
const SHORTEST: Duration = Duration::from_secs(2);
/// Seven series each on every node: 350,000 in a cluster of 5,000 nodes.
const TOP: usize = 10;
const MAX_SERVICE_PORTS: usize = 500;
const MAX_ENDPOINTS: usize = 1000;

/// Which traffic is read and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficOptions {
    /// Whether IPVS's counters are read.
    pub enabled: bool,
    /// The shortest time between two readings.
    pub interval: Duration,
    /// How many Service ports are shown for having the most traffic.
    pub top: usize,
    /// The namespaces whose Services are shown; `*` is all of them.
    pub namespaces: Vec<String>,
    /// Whether the Services that are shown are shown by endpoint, too.
    pub endpoints: bool,
    /// The most Service ports that are shown.
    pub max_service_ports: usize,
    /// The most endpoints that are shown.
    pub max_endpoints: usize,
}

impl TrafficOptions {
    /// Whether the Services of a namespace are shown without asking for it.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|listed| listed == "*" || listed == namespace)
    }
}

impl Default for TrafficOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: INTERVAL,
            top: TOP,
            namespaces: Vec::new(),
            endpoints: false,
            max_service_ports: MAX_SERVICE_PORTS,
            max_endpoints: MAX_ENDPOINTS,
        }
    }
}

pub(super) fn traffic(file: &ConfigFile) -> Result<TrafficOptions, Wrong> {
    let given = &file.trimtab.traffic;
    let default = TrafficOptions::default();
    let interval = given.interval.map_or(default.interval, |Period(interval)| interval);
    if interval < SHORTEST {
        let message = "must be at least 2s: the kernel updates its counters every two seconds";
        return Err(Wrong::new("trimtab.traffic.interval", message));
    }
    let namespaces = given.namespaces.clone().unwrap_or_default();
    if let Some(wrong) = namespaces.iter().find(|name| *name != "*" && !is_namespace(name)) {
        let message = format!("{wrong:?} is not the name of a namespace, nor *");
        return Err(Wrong::new("trimtab.traffic.namespaces", message));
    }
    Ok(TrafficOptions {
        enabled: given.enabled.unwrap_or(default.enabled),
        interval,
        top: count("top", given.top, default.top)?,
        namespaces,
        endpoints: given.endpoints.unwrap_or(default.endpoints),
        max_service_ports: count(
            "maxServicePorts",
            given.max_service_ports,
            default.max_service_ports,
        )?,
        max_endpoints: count("maxEndpoints", given.max_endpoints, default.max_endpoints)?,
    })
}

/// An RFC 1123 label.
fn is_namespace(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(allowed)
}

fn count(field: &str, given: Option<i64>, default: usize) -> Result<usize, Wrong> {
    let Some(given) = given else { return Ok(default) };
    usize::try_from(given).map_err(|_| {
        Wrong::new(format!("trimtab.traffic.{field}"), format!("{given} is less than 0"))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Overrides, parse, resolve};

    fn resolved(traffic: &str) -> Result<TrafficOptions, String> {
        let text = format!("mode: ipvs\ntrimtab: {{traffic: {{{traffic}}}}}");
        let (file, _) = parse(Path::new("config.yaml"), &text).unwrap();
        let overrides = Overrides { host: "node-a".to_owned(), ..Overrides::default() };
        resolve(&file, &overrides).map(|(config, _)| config.traffic).map_err(|e| e.to_string())
    }

    #[test]
    fn traffic_options_are_checked_by_field() {
        assert_eq!(resolved("").unwrap(), TrafficOptions::default());
        let given = resolved("namespaces: [shop, '*'], top: 0, interval: 1m").unwrap();
        assert!(given.has_namespace("any") && given.top == 0);
        assert_eq!(given.interval, Duration::from_secs(60));
        for (traffic, field) in [
            ("interval: 1s", "trimtab.traffic.interval"),
            ("namespaces: [Shop]", "trimtab.traffic.namespaces"),
            ("top: -1", "trimtab.traffic.top"),
            ("maxServicePorts: -1", "trimtab.traffic.maxServicePorts"),
            ("maxEndpoints: -1", "trimtab.traffic.maxEndpoints"),
        ] {
            let complaint = resolved(traffic).unwrap_err();
            assert!(complaint.contains(field), "{complaint}");
        }
    }
}
