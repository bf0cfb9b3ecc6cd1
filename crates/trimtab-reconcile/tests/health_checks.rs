//! What health-check node ports are to say, and when that changes.

use std::net::IpAddr;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, LocalAddress, ObjectName, Service, ServicePort,
    ServiceType, SlicePort, TrafficPolicy,
};
use trimtab_core::{Family, Protocol};
use trimtab_reconcile::{HealthCheck, NodePortAddresses, Reconciler, Settings};

fn name() -> ObjectName {
    ObjectName::new("shop", "web")
}

fn service(port: u16) -> Service {
    let port_named = |name: &str, port| ServicePort {
        name: name.into(),
        protocol: Protocol::Tcp,
        port,
        node_port: 0,
    };
    Service {
        kind: ServiceType::LoadBalancer,
        external_policy: TrafficPolicy::Local,
        cluster_ips: vec![IpAddr::from([10, 96, 0, 1])],
        ports: vec![port_named("http", 80), port_named("https", 443)],
        health_check_node_port: port,
        ..Service::new(name())
    }
}

/// Endpoints by the last byte of their address: here and ready unless said otherwise.
fn slice(number: u8, endpoints: &[(u8, &str, bool)]) -> EndpointSlice {
    let port = |name: &str, port| SlicePort { name: name.into(), protocol: Protocol::Tcp, port };
    EndpointSlice {
        name: ObjectName::new("shop", &format!("web-{number}")),
        service: name(),
        family: Family::V4,
        ports: vec![port("http", 8080), port("https", 8443)],
        endpoints: endpoints
            .iter()
            .map(|(host, node, ready)| Endpoint {
                address: IpAddr::from([10, 244, 0, *host]),
                conditions: Conditions { ready: *ready, serving: true, terminating: !*ready },
                node: Some((*node).into()),
                hints: Hints::default(),
            })
            .collect(),
        weight: None,
    }
}

/// The states that were told since the last call.
fn taken(reconciler: &mut Reconciler) -> Vec<Option<HealthCheck>> {
    let all = reconciler.take_health_checks().into_iter();
    all.map(|(of, state)| {
        assert_eq!(of, name());
        state
    })
    .collect()
}

/// The one state that was told.
fn state(reconciler: &mut Reconciler) -> HealthCheck {
    let mut all = taken(reconciler);
    assert_eq!(all.len(), 1);
    all.pop().flatten().expect("a health check")
}

fn count(reconciler: &mut Reconciler) -> usize {
    state(reconciler).families[0].local_endpoints
}

#[test]
fn distinct_ready_endpoints_on_this_node_count_whatever_their_ports() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    reconciler.apply_slice(&slice(1, &[(1, "here", true), (2, "there", true)]));
    assert!(taken(&mut reconciler).is_empty(), "there is no Service yet");
    reconciler.apply_service(service(30_000));
    assert_eq!(count(&mut reconciler), 1);
    // The same endpoint in another slice is still one.
    reconciler.apply_slice(&slice(2, &[(1, "here", true), (3, "here", true)]));
    assert_eq!(count(&mut reconciler), 2);
    reconciler.apply_slice(&slice(2, &[(3, "here", false)]));
    assert_eq!(count(&mut reconciler), 1);
    reconciler.apply_slice(&slice(1, &[(1, "here", false)]));
    assert_eq!(count(&mut reconciler), 0);
    reconciler.delete_slice(&ObjectName::new("shop", "web-1"));
    assert!(taken(&mut reconciler).is_empty());
}

#[test]
fn a_health_check_comes_and_goes_with_its_port() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    reconciler.apply_service(service(0));
    assert!(taken(&mut reconciler).is_empty());
    reconciler.apply_service(service(30_000));
    let first = state(&mut reconciler);
    assert_eq!(first.port, 30_000);
    assert_eq!(first.families.len(), 1, "the Service has no IPv6 address");
    assert_eq!(first.families[0].addresses, [IpAddr::from([0, 0, 0, 0])]);
    reconciler.apply_service(service(30_000));
    assert!(taken(&mut reconciler).is_empty());
    reconciler.apply_service(service(30_001));
    assert_eq!(state(&mut reconciler).port, 30_001);
    reconciler.delete_service(&name());
    assert_eq!(taken(&mut reconciler), [None]);
}

#[test]
fn it_listens_on_the_chosen_node_addresses_as_they_come_and_go() {
    let networks = ["192.0.2.0/24", "127.0.0.0/8"].map(|net| net.parse().expect("a network"));
    let settings = Settings {
        node_port_addresses: NodePortAddresses::Networks(networks.to_vec()),
        ..Settings::new("here")
    };
    let mut reconciler = Reconciler::new(settings);
    reconciler.apply_service(service(30_000));
    let mut addresses = |local: &[&str]| {
        let local = local.iter().map(|address| LocalAddress {
            interface: "eth0".into(),
            address: address.parse().expect("an address"),
        });
        reconciler.set_local_addresses(local.collect());
        let listening = &state(&mut reconciler).families[0].addresses;
        listening.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = ["192.0.2.7", "198.51.100.1", "127.0.0.1"];
    assert_eq!(addresses(&all), ["127.0.0.1", "192.0.2.7"]);
    assert_eq!(addresses(&["127.0.0.1"]), ["127.0.0.1"]);
}
