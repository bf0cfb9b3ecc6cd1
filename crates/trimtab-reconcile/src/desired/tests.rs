use std::net::IpAddr;

use super::*;
use crate::settings::{ExternalIpPolicy, NodePortAddresses};
use trimtab_core::objects::{LocalAddress, ObjectName, ServiceType, Tuning};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn local(addresses: &[(&str, &str)]) -> Vec<LocalAddress> {
    addresses
        .iter()
        .map(|(interface, address)| LocalAddress {
            interface: (*interface).into(),
            address: ip(address),
        })
        .collect()
}

fn node() -> NodeView {
    let local = local(&[
        ("lo", "127.0.0.1"),
        ("eth0", "10.0.0.1"),
        ("eth1", "192.168.0.1"),
        ("eth0", "fd00:10::1"),
        ("eth0", "fe80::1"),
    ]);
    NodeView::new(&local, &[ip("10.0.0.1"), ip("fd00:10::1")], &NodePortAddresses::All)
}

fn service() -> Service {
    Service {
        cluster_ips: vec![ip("10.96.0.1")],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 0,
        }],
        ..Service::new(ObjectName::new("default", "web"))
    }
}

fn balanced() -> Service {
    Service {
        kind: ServiceType::LoadBalancer,
        load_balancer_ips: vec![ip("203.0.113.1")],
        ..service()
    }
}

fn elements_of(service: &Service, node: &NodeView) -> Vec<String> {
    let desired = desired(service, node, &Settings::new("here"));
    let mut elements: Vec<String> = desired
        .specs
        .iter()
        .flat_map(|spec| &spec.elements)
        .chain(&desired.elements)
        .map(|(set, element)| format!("{set} {element}"))
        .collect();
    elements.sort();
    elements
}

fn frontends_of(service: &Service) -> Vec<String> {
    let desired = desired(service, &node(), &Settings::new("here"));
    desired.specs.iter().map(|spec| spec.frontend.to_string()).collect()
}

#[test]
fn a_cluster_ip_is_bound_and_named_in_its_sets() {
    let desired = desired(&service(), &node(), &Settings::new("here"));
    assert_eq!(desired.specs.len(), 1);
    assert!(desired.specs[0].bind);
    assert_eq!(
        elements_of(&service(), &node()),
        ["KUBE-CLUSTER-IP 10.96.0.1,tcp:80", "KUBE-IPVS-IPS 10.96.0.1"]
    );
}

#[test]
fn addresses_that_would_take_over_the_hosts_own_traffic_are_refused() {
    for text in ["127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "255.255.255.255"] {
        let service = Service { external_ips: vec![ip(text), ip("192.0.2.1")], ..service() };
        let desired = desired(&service, &node(), &Settings::new("here"));
        assert_eq!(desired.problems.len(), 1, "{text}");
        assert!(desired.problems[0].message.contains(text));
        assert_eq!(desired.specs.len(), 2, "the other external IP is served");
    }
    let service = Service { cluster_ips: vec![ip("fe80::5")], ..service() };
    assert_eq!(desired(&service, &node(), &Settings::new("here")).specs.len(), 0);
}

#[test]
fn external_and_load_balancer_ips_are_served_as_the_policy_says() {
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let service = Service {
        cluster_ips: vec![ip("10.96.0.1")],
        external_ips: vec![ip("192.168.0.1"), ip("10.96.0.9"), ip("198.51.100.7")],
        ..balanced()
    };
    let served = |policy: ExternalIpPolicy| {
        let settings = Settings { external_ips: policy, ..Settings::new("here") };
        let desired = desired(&service, &node(), &settings);
        let mut vips: Vec<String> =
            desired.specs.iter().map(|r| r.frontend.address().unwrap().to_string()).collect();
        vips.sort();
        assert_eq!(vips.len() + desired.problems.len(), 5, "each is served or reported");
        assert!(desired.problems.iter().all(|p| p.reason == Reason::RefusedAddress));
        assert_eq!(vips.remove(0), "10.96.0.1", "no policy concerns cluster IPs");
        vips
    };
    let any = ExternalIpPolicy::default;
    let all = ["10.96.0.9", "192.168.0.1", "198.51.100.7", "203.0.113.1"];
    assert_eq!(served(any()), all);
    let own = ExternalIpPolicy { node_addresses: false, ..any() };
    assert_eq!(served(own), ["10.96.0.9", "198.51.100.7", "203.0.113.1"]);
    let denied = ExternalIpPolicy { denied: nets(&["10.96.0.0/12"]), ..any() };
    assert_eq!(served(denied), ["192.168.0.1", "198.51.100.7", "203.0.113.1"]);
    let allowed = nets(&["203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"]);
    let only = ExternalIpPolicy { allowed, denied: nets(&["10.96.0.0/12"]), ..any() };
    assert_eq!(served(only), ["203.0.113.1"]);
    let other_family = ExternalIpPolicy { allowed: nets(&["2001:db8::/32"]), ..any() };
    assert_eq!(served(other_family), Vec::<String>::new());
}

#[test]
fn a_vip_that_an_interface_has_is_served_but_not_bound() {
    let service = Service { external_ips: vec![ip("192.168.0.1")], ..service() };
    let desired = desired(&service, &node(), &Settings::new("here"));
    assert_eq!(desired.specs[1].frontend.to_string(), "TCP 192.168.0.1:80");
    assert!(!desired.specs[1].bind);
    assert!(!elements_of(&service, &node()).contains(&"KUBE-IPVS-IPS 192.168.0.1".to_owned()));
}

#[test]
fn source_ranges_close_a_vip_for_everyone_else() {
    let ranges = |texts: &[&str]| {
        let ranges = texts.iter().map(|text| text.parse().unwrap()).collect();
        elements_of(&Service { source_ranges: Some(ranges), ..balanced() }, &node())
    };
    let sources = |elements: &[String]| -> Vec<String> {
        elements.iter().filter(|e| e.contains("SOURCE") || e.contains("-FW")).cloned().collect()
    };
    assert_eq!(
        sources(&ranges(&["198.51.100.7/32", "2001:db8::/32"])),
        [
            "KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80",
            "KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,198.51.100.7",
        ]
    );
    // The node's own address is in a range: what it sends itself comes from the VIP.
    assert_eq!(
        sources(&ranges(&["10.0.0.0/8"])),
        [
            "KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80",
            "KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,10.0.0.0/8",
            "KUBE-LOAD-BALANCER-SOURCE-IP 203.0.113.1,tcp:80,203.0.113.1",
        ]
    );
    // Only ranges of the other family: closed, not open.
    assert_eq!(sources(&ranges(&["2001:db8::/32"])), ["KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80"]);
    assert_eq!(sources(&ranges(&[])), ["KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80"]);
    // A range of length zero: open.
    assert!(sources(&ranges(&["198.51.100.7/32", "0.0.0.0/0"])).is_empty());
}

#[test]
fn a_node_port_is_served_on_every_address_that_others_can_reach() {
    let mut service = Service { kind: ServiceType::NodePort, ..service() };
    service.ports[0].node_port = 30080;
    assert_eq!(
        frontends_of(&service),
        ["TCP 10.0.0.1:30080", "TCP 10.96.0.1:80", "TCP 192.168.0.1:30080"]
    );
    service.cluster_ips.push(ip("fd00:96::1"));
    assert!(frontends_of(&service).contains(&"TCP [fd00:10::1]:30080".to_owned()));
    assert!(!frontends_of(&service).iter().any(|frontend| frontend.contains("fe80")));
    let elements = elements_of(&service, &node());
    assert!(elements.contains(&"KUBE-NODE-PORT-TCP 30080".to_owned()));
    service.ports[0].protocol = Protocol::Sctp;
    let elements = elements_of(&service, &node());
    assert!(elements.contains(&"KUBE-NODE-PORT-SCTP-HASH 192.168.0.1,sctp:30080".to_owned()));
}

#[test]
fn node_port_addresses_are_chosen_by_network_or_as_primary() {
    let local = local(&[("eth0", "10.0.0.1"), ("eth1", "192.168.0.1"), ("eth0", "fd00:10::1")]);
    let chosen = |choice: NodePortAddresses, family| {
        let view = NodeView::new(&local, &[ip("192.168.0.1")], &choice);
        view.node_port_addresses(family).to_vec()
    };
    let networks = |texts: &[&str]| {
        NodePortAddresses::Networks(texts.iter().map(|text| text.parse().unwrap()).collect())
    };
    assert_eq!(chosen(networks(&["10.0.0.0/8"]), Family::V4), [ip("10.0.0.1")]);
    // No network of a family: all of its addresses.
    assert_eq!(chosen(networks(&["10.0.0.0/8"]), Family::V6), [ip("fd00:10::1")]);
    assert_eq!(
        chosen(networks(&["10.0.0.0/8", "0.0.0.0/0"]), Family::V4),
        [ip("10.0.0.1"), ip("192.168.0.1")]
    );
    assert_eq!(chosen(NodePortAddresses::Primary, Family::V4), [ip("192.168.0.1")]);
}

#[test]
fn external_traffic_policy_counts_only_for_what_is_reachable_from_outside() {
    let internal = Service { external_policy: TrafficPolicy::Local, ..service() };
    assert_eq!(internal.effective_external_policy(), TrafficPolicy::Cluster);
    let service = Service {
        external_policy: TrafficPolicy::Local,
        health_check_node_port: 32000,
        ..balanced()
    };
    let desired = desired(&service, &node(), &Settings::new("here"));
    let policies: Vec<_> = desired.specs.iter().map(|spec| spec.policy).collect();
    assert_eq!(policies, [TrafficPolicy::Cluster, TrafficPolicy::Local]);
    assert_eq!(
        elements_of(&service, &node()),
        [
            "KUBE-CLUSTER-IP 10.96.0.1,tcp:80",
            "KUBE-HEALTH-CHECK-NODE-PORT 32000",
            "KUBE-IPVS-IPS 10.96.0.1",
            "KUBE-IPVS-IPS 203.0.113.1",
            "KUBE-LOAD-BALANCER 203.0.113.1,tcp:80",
            "KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80",
        ]
    );
}

#[test]
fn one_address_asked_for_twice_is_one_frontend() {
    let service = Service { external_ips: vec![ip("203.0.113.1")], ..balanced() };
    assert_eq!(frontends_of(&service), ["TCP 10.96.0.1:80", "TCP 203.0.113.1:80"]);
    let elements = elements_of(&service, &node());
    assert!(elements.contains(&"KUBE-EXTERNAL-IP 203.0.113.1,tcp:80".to_owned()));
    assert!(elements.contains(&"KUBE-LOAD-BALANCER 203.0.113.1,tcp:80".to_owned()));
}

#[test]
fn options_follow_the_cluster_and_the_services_own_wishes() {
    use trimtab_core::{Persistence, Scheduler, VirtualServerFlags};
    let mut settings = Settings::new("here");
    settings.scheduler = Scheduler::MaglevHashing;
    let options = |service: &Service| desired(service, &node(), &settings).specs[0].options;
    assert_eq!(options(&service()).scheduler, Scheduler::MaglevHashing);
    assert_eq!(options(&service()).flags, VirtualServerFlags::HASH_PORT);
    let tuned = Service {
        affinity: Some(600),
        tuning: Tuning {
            scheduler: Some(Scheduler::LeastConnection),
            one_packet: true,
            ..Tuning::default()
        },
        ..service()
    };
    assert_eq!(options(&tuned).scheduler, Scheduler::LeastConnection);
    assert_eq!(options(&tuned).flags, VirtualServerFlags::empty(), "one packet is for UDP");
    assert_eq!(options(&tuned).persistence, Some(Persistence { timeout: 600, prefix: 32 }));
    let mut datagrams = tuned;
    datagrams.ports[0].protocol = Protocol::Udp;
    assert_eq!(options(&datagrams).flags, VirtualServerFlags::ONE_PACKET);
}
