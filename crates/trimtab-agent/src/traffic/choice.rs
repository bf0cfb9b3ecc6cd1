//! Which Service ports are shown: those whose Services ask for it, then those of the configured
//! namespaces, then those with the most traffic.

use std::collections::BTreeMap;

use trimtab_config::TrafficOptions;
use trimtab_core::objects::TrafficMetrics;

use super::ledger::{Ledger, Port, PortId};

/// The Service ports that are shown, in order of number.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Each with whether its endpoints are shown, too.
    pub(super) ports: BTreeMap<PortId, bool>,
    /// How many should be shown, and are not because there are too many.
    pub(super) left_out: usize,
}

/// What stands first is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Annotation,
    Namespace,
}

impl Choice {
    /// Chooses anew. A Service port that has been shown for its traffic stays until another one has
    /// twice as much: series that come and go are of no use to anybody.
    pub(super) fn next(&self, ledger: &Ledger, options: &TrafficOptions) -> Self {
        let mut wanted: Vec<(Claim, PortId, &Port)> = ledger
            .ports()
            .filter_map(|(id, port)| Some((claim(port, options)?, id, port)))
            .collect();
        let left_out = wanted.len().saturating_sub(options.max_service_ports);
        if left_out > 0 {
            // By name, so that the same ones are shown every time.
            wanted.sort_unstable_by(|a, b| (a.0, &a.2.key).cmp(&(b.0, &b.2.key)));
            wanted.truncate(options.max_service_ports);
        }
        let mut ports: BTreeMap<PortId, bool> =
            wanted.iter().map(|(_, id, port)| (*id, shows_endpoints(port, options))).collect();
        let room = options.top.min(options.max_service_ports - ports.len());
        if room > 0 {
            let mut busiest: Vec<(u64, PortId)> = ledger
                .ports()
                .filter(|(id, port)| is_open_to_all(port) && !ports.contains_key(id))
                .map(|(id, port)| (self.weight(id, port), id))
                .filter(|(weight, _)| *weight > 0)
                .collect();
            if busiest.len() > room {
                busiest.select_nth_unstable_by(room, |a, b| b.cmp(a));
                busiest.truncate(room);
            }
            ports.extend(busiest.into_iter().map(|(_, id)| (id, options.endpoints)));
        }
        Self { ports, left_out }
    }

    fn weight(&self, id: PortId, port: &Port) -> u64 {
        if self.ports.contains_key(&id) {
            port.recent.saturating_mul(2).max(1)
        } else {
            port.recent
        }
    }
}

fn claim(port: &Port, options: &TrafficOptions) -> Option<Claim> {
    match port.metrics {
        TrafficMetrics::Service | TrafficMetrics::Endpoints => Some(Claim::Annotation),
        TrafficMetrics::Configured => {
            options.has_namespace(port.key.service.namespace()).then_some(Claim::Namespace)
        }
        TrafficMetrics::Off => None,
    }
}

fn is_open_to_all(port: &Port) -> bool {
    port.metrics == TrafficMetrics::Configured
}

fn shows_endpoints(port: &Port, options: &TrafficOptions) -> bool {
    match port.metrics {
        TrafficMetrics::Endpoints => true,
        TrafficMetrics::Configured => options.endpoints,
        TrafficMetrics::Service | TrafficMetrics::Off => false,
    }
}

#[cfg(test)]
mod tests {
    use trimtab_core::objects::ObjectName;
    use trimtab_core::{Counters, Frontend, Protocol};
    use trimtab_reconcile::Owner;

    use super::*;

    fn frontend(host: u8) -> Frontend {
        Frontend::new(Protocol::Tcp, [10, 96, 0, host].into(), 80)
    }

    fn ledger(ports: &[(&str, &str, TrafficMetrics)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (host, (namespace, name, metrics)) in (0..).zip(ports) {
            let owner = Owner {
                service: ObjectName::new(namespace, name),
                port: "http".into(),
                protocol: Protocol::Tcp,
                metrics: *metrics,
            };
            ledger.assign(frontend(host), Some(owner));
        }
        ledger
    }

    fn read(ledger: &mut Ledger, bytes: &[u64]) {
        let counters = |bytes_in| Counters { bytes_in, ..Counters::default() };
        let found: Vec<(Frontend, Counters)> =
            (0..).zip(bytes).map(|(host, bytes)| (frontend(host), counters(*bytes))).collect();
        ledger.read(&found);
    }

    fn names(ledger: &Ledger, choice: &Choice) -> Vec<String> {
        let name = |(id, endpoints): (&PortId, &bool)| {
            let name = ledger.port(*id).unwrap().key.service.name().to_owned();
            if *endpoints { name + "+" } else { name }
        };
        let mut names: Vec<String> = choice.ports.iter().map(name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn annotations_go_before_namespaces_and_those_before_traffic() {
        use TrafficMetrics::{Configured, Endpoints, Off, Service};
        let mut ledger = ledger(&[
            ("a", "busy", Configured),
            ("a", "idle", Configured),
            ("a", "hidden", Off),
            ("a", "asked", Service),
            ("a", "whole", Endpoints),
            ("b", "listed", Configured),
            ("b", "unlisted", Off),
        ]);
        read(&mut ledger, &[10, 0, 1000, 0, 0, 0, 0]);
        let mut options = TrafficOptions {
            top: 3,
            namespaces: vec!["b".to_owned()],
            ..TrafficOptions::default()
        };
        let chosen = |options: &TrafficOptions| {
            let choice = Choice::default().next(&ledger, options);
            (names(&ledger, &choice), choice.left_out)
        };
        let all = ["asked", "busy", "listed", "whole+"].map(str::to_owned).to_vec();
        assert_eq!(chosen(&options), (all, 0));
        options.max_service_ports = 1;
        assert_eq!(chosen(&options), (vec!["asked".to_owned()], 2));
        options.max_service_ports = 0;
        assert_eq!(chosen(&options), (vec![], 3));
        options = TrafficOptions { endpoints: true, top: 1, ..TrafficOptions::default() };
        let all = ["asked", "busy+", "whole+"].map(str::to_owned).to_vec();
        assert_eq!(chosen(&options), (all, 0));
    }

    #[test]
    fn the_busiest_change_only_when_another_has_twice_as_much() {
        use TrafficMetrics::Configured;
        let mut ledger = ledger(&[("n", "a", Configured), ("n", "b", Configured)]);
        let options = TrafficOptions { top: 1, ..TrafficOptions::default() };
        read(&mut ledger, &[100, 90]);
        let first = Choice::default().next(&ledger, &options);
        assert_eq!(names(&ledger, &first), ["a"]);
        // Of late: a 150, b 195.
        read(&mut ledger, &[200, 240]);
        let second = first.next(&ledger, &options);
        assert_eq!(names(&ledger, &second), ["a"]);
        // a 75, b 197.
        read(&mut ledger, &[200, 340]);
        assert_eq!(names(&ledger, &second.next(&ledger, &options)), ["b"]);
        // Without any traffic nobody takes its place.
        for _ in 0..64 {
            read(&mut ledger, &[200, 340]);
        }
        assert_eq!(names(&ledger, &second.next(&ledger, &options)), ["a"]);
    }
}
