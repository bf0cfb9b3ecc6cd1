//! What health-check node ports are to say, and when that changes.

use std::net::IpAddr;

use trimtab_core::{Family, Protocol};
use trimtab_reconcile::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, LocalAddress, ObjectName, Service, ServicePort,
    ServiceType, SlicePort, TrafficPolicy,
};
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
fn slice(part: &str, endpoints: &[(u8, &str, bool)]) -> EndpointSlice {
    let port = |name: &str, port| SlicePort { name: name.into(), protocol: Protocol::Tcp, port };
    EndpointSlice {
        name: ObjectName::new("shop", &format!("web-{part}")),
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

fn taken(reconciler: &mut Reconciler) -> Option<Option<HealthCheck>> {
    let mut all = reconciler.take_health_checks();
    assert!(all.len() <= 1);
    all.pop().map(|(of, state)| {
        assert_eq!(of, name());
        state
    })
}

/// The count of endpoints, if anything changed.
fn count(reconciler: &mut Reconciler) -> Option<usize> {
    taken(reconciler).map(|state| state.expect("a health check").families[0].local_endpoints)
}

#[test]
fn distinct_ready_endpoints_on_this_node_count_whatever_their_ports() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    reconciler.apply_slice(&slice("1", &[(1, "here", true), (2, "there", true)]));
    assert_eq!(count(&mut reconciler), None, "there is no Service yet");
    reconciler.apply_service(service(30_000));
    assert_eq!(count(&mut reconciler), Some(1));
    // The same endpoint in another slice is still one.
    reconciler.apply_slice(&slice("2", &[(1, "here", true), (3, "here", true)]));
    assert_eq!(count(&mut reconciler), Some(2));
    reconciler.apply_slice(&slice("2", &[(3, "here", false)]));
    assert_eq!(count(&mut reconciler), Some(1));
    reconciler.apply_slice(&slice("1", &[(1, "here", false)]));
    assert_eq!(count(&mut reconciler), Some(0));
    reconciler.delete_slice(&ObjectName::new("shop", "web-1"));
    assert_eq!(count(&mut reconciler), None);
}

#[test]
fn a_health_check_comes_and_goes_with_its_port() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    reconciler.apply_service(service(0));
    assert_eq!(taken(&mut reconciler), None);
    reconciler.apply_service(service(30_000));
    let state = taken(&mut reconciler).flatten().expect("a health check");
    assert_eq!(state.port, 30_000);
    assert_eq!(state.families.len(), 1, "the Service has no IPv6 address");
    assert_eq!(state.families[0].addresses, [IpAddr::from([0, 0, 0, 0])]);
    reconciler.apply_service(service(30_000));
    assert_eq!(taken(&mut reconciler), None);
    reconciler.apply_service(service(30_001));
    assert_eq!(taken(&mut reconciler).flatten().map(|state| state.port), Some(30_001));
    reconciler.delete_service(&name());
    assert_eq!(taken(&mut reconciler), Some(None));
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
        let state = taken(&mut reconciler).flatten();
        state.map(|state| {
            state.families[0].addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    let expected = ["127.0.0.1", "192.0.2.7"].map(str::to_owned).to_vec();
    assert_eq!(addresses(&["192.0.2.7", "198.51.100.1", "127.0.0.1"]), Some(expected));
    assert_eq!(addresses(&["127.0.0.1"]), Some(vec!["127.0.0.1".to_owned()]));
}
