//! What one Service costs grows with what it asks for, and no faster; and it cannot ask for everything.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::{Family, Protocol, Scheduler};

use super::Reconciler;
use crate::problem::Reason;
use crate::settings::Settings;
use crate::steps;
use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, ObjectName, Service, ServicePort, SlicePort,
};

fn name() -> ObjectName {
    ObjectName::new("n", "large")
}

fn port_name(port: u16, naming: &str) -> Box<str> {
    format!("{naming}-{port}").into()
}

/// A Service with so many ports and external IPs.
fn service(ports: u16, external_ips: u16, naming: &str) -> Service {
    let port = |number| ServicePort {
        name: port_name(number, naming),
        protocol: Protocol::Tcp,
        port: number,
        node_port: 0,
    };
    let address = |number: u16| {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([198, 18, high, low])
    };
    Service {
        cluster_ips: vec![[10, 96, 0, 1].into()],
        external_ips: (0..external_ips).map(address).collect(),
        ports: (1..=ports).map(port).collect(),
        ..Service::new(name())
    }
}

/// Endpoints at all of its ports.
fn slice(ports: u16, naming: &str) -> EndpointSlice {
    let port = |number| SlicePort {
        name: port_name(number, naming),
        protocol: Protocol::Tcp,
        port: number,
    };
    let endpoint = |host| Endpoint {
        address: IpAddr::from([10, 244, 0, host]),
        conditions: Conditions::default(),
        node: None,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: name(),
        service: name(),
        family: Family::V4,
        ports: (1..=ports).map(port).collect(),
        endpoints: (1..=2).map(endpoint).collect(),
        weight: None,
    }
}

/// The entries looked at for each frontend while a Service comes, changes, and goes.
fn steps_of(ports: u16, external_ips: u16) -> usize {
    let frontends = usize::from(ports) * (usize::from(external_ips) + 1);
    let mut reconciler = Reconciler::new(Settings::new("node"));
    steps::take();
    reconciler.apply_slice(&slice(ports, "a"));
    reconciler.apply_service(service(ports, external_ips, "a"));
    reconciler.plan(Duration::ZERO, usize::MAX);
    assert_eq!(reconciler.server_counts(), (frontends, 2 * frontends));
    let mut changed = service(ports, external_ips, "a");
    changed.tuning.scheduler = Some(Scheduler::LeastConnection);
    reconciler.apply_service(changed);
    // All ports have other names, the Service first.
    reconciler.apply_service(service(ports, external_ips, "b"));
    reconciler.apply_slice(&slice(ports, "b"));
    reconciler.plan(Duration::ZERO, usize::MAX);
    reconciler.take_problems();
    reconciler.delete_service(&name());
    reconciler.delete_slice(&name());
    steps::take() / frontends
}

#[test]
fn what_a_service_costs_is_linear_in_its_frontends() {
    let small = steps_of(20, 20);
    for (ports, external_ips) in [(60, 60), (1000, 1), (2, 1000)] {
        let large = steps_of(ports, external_ips);
        // Sorted lists are searched in logarithmic time: 9 and 12 steps.
        assert!(large <= 2 * small, "{ports} ports, {external_ips} IPs: {small} and {large}");
    }
}

#[test]
fn what_is_beyond_the_bound_is_told_and_cluster_ips_are_served_first() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    reconciler.apply_service(service(300, 300, "a"));
    assert_eq!(reconciler.server_counts().0, 16_384);
    let problems = reconciler.take_problems();
    let [problem] = &*problems[0].found else { panic!("{problems:?}") };
    assert_eq!(problem.reason, Reason::TooManyFrontends);
    assert!(problem.message.contains("90300 frontends; 16384 are served"), "{problem:?}");
    let programmed = reconciler.programmed();
    let cluster_ip = Some([10, 96, 0, 1].into());
    let frontends = programmed[0].frontends.iter();
    assert_eq!(frontends.filter(|frontend| frontend.address() == cluster_ip).count(), 300);
    // The same whatever the order in which the addresses are written.
    let mut reversed = service(300, 300, "a");
    reversed.external_ips.reverse();
    let mut other = Reconciler::new(Settings::new("node"));
    other.apply_service(reversed);
    assert_eq!(other.programmed(), programmed);
    reconciler.apply_service(service(3, 3, "a"));
    assert_eq!(reconciler.take_problems()[0].found, []);
}

#[test]
fn source_ranges_count_too() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    let mut large = service(300, 0, "a");
    large.load_balancer_ips = service(1, 300, "a").external_ips;
    let range = |number: u16| {
        let [high, low] = number.to_be_bytes();
        format!("172.{high}.{low}.0/24").parse().unwrap()
    };
    large.source_ranges = Some((0..1000).map(range).collect());
    reconciler.apply_service(large);
    let elements = reconciler.programmed()[0].elements.len();
    assert!((60_000..=65_536).contains(&elements), "{elements}");
    assert_eq!(reconciler.take_problems()[0].found[0].reason, Reason::TooManyFrontends);
}

#[test]
fn ports_that_nobody_has_any_more_are_forgotten() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    for round in 0..8 {
        let naming = format!("round-{round}");
        if round % 2 == 0 {
            reconciler.apply_slice(&slice(500, &naming));
        }
        reconciler.apply_service(service(500, 0, &naming));
        reconciler.apply_slice(&slice(500, &naming));
        let entry = reconciler
            .input
            .services
            .find(&name())
            .and_then(|it| reconciler.input.services.get(it));
        let ports = &entry.unwrap().ports;
        assert_eq!(ports.iter().count(), 500);
        assert!(ports.end() <= 1000, "{}", ports.end());
    }
}
