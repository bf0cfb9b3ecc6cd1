//! Random events over a small world, so that names, addresses and ports collide often.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, LocalAddress, NodeObject, ObjectName, Service,
    ServicePort, ServiceType, SlicePort, TrafficMetrics, TrafficPolicy, Tuning,
};
use trimtab_core::{Family, Protocol, Scheduler, VirtualServerFlags};

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Service(Box<Service>),
    ServiceGone(ObjectName),
    Slice(EndpointSlice),
    SliceGone(ObjectName),
    Node(NodeObject),
    Addresses(Vec<LocalAddress>),
    NodeWeight(&'static str, Option<u16>),
    /// The plan is made and carried out.
    Sync,
    /// Time passes.
    Wait(u64),
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => service().prop_map(|service| Event::Service(Box::new(service))),
        2 => name().prop_map(Event::ServiceGone),
        10 => slice().prop_map(Event::Slice),
        3 => slice_name().prop_map(Event::SliceGone),
        1 => node().prop_map(Event::Node),
        1 => prop::collection::vec(local_address(), 0..4).prop_map(Event::Addresses),
        1 => (select(vec!["here", "there"]), prop::option::of(0u16..4))
            .prop_map(|(node, weight)| Event::NodeWeight(node, weight)),
        6 => Just(Event::Sync),
        1 => (1u64..100).prop_map(Event::Wait),
    ]
}

fn name() -> impl Strategy<Value = ObjectName> {
    select(vec!["a", "b", "c", "d"]).prop_map(|name| ObjectName::new("n", name))
}

fn slice_name() -> impl Strategy<Value = ObjectName> {
    select(vec!["s1", "s2", "s3", "s4", "s5", "s6"]).prop_map(|name| ObjectName::new("n", name))
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(Protocol::ALL.to_vec())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy() -> impl Strategy<Value = TrafficPolicy> {
    select(vec![TrafficPolicy::Cluster, TrafficPolicy::Local])
}

fn service_port() -> impl Strategy<Value = ServicePort> {
    (select(vec!["", "http", "dns"]), protocol(), 80u16..83, select(vec![0u16, 0, 30080, 30081]))
        .prop_map(|(name, protocol, port, node_port)| ServicePort {
            name: name.into(),
            protocol,
            port,
            node_port,
        })
}

fn tuning() -> impl Strategy<Value = Tuning> {
    (
        prop::option::of(select(vec![Scheduler::LeastConnection, Scheduler::MaglevHashing])),
        prop::option::of(select(vec![
            VirtualServerFlags::empty(),
            VirtualServerFlags::SCHEDULER_1 | VirtualServerFlags::SCHEDULER_3,
        ])),
        any::<bool>(),
        0u32..3,
        prop::option::of((0u64..40).prop_map(Duration::from_secs)),
    )
        .prop_map(
            |(scheduler, scheduler_flags, one_packet, max_connections, drain_timeout)| Tuning {
                traffic_metrics: TrafficMetrics::default(),
                scheduler,
                scheduler_flags,
                one_packet,
                max_connections,
                drain_timeout,
            },
        )
}

fn service() -> impl Strategy<Value = Service> {
    let addresses = (
        select(vec![
            vec!["10.96.0.1"],
            vec!["10.96.0.2", "fd00::2"],
            vec!["fd00::1"],
            vec!["fe80::2"],
            vec![],
        ]),
        select(vec![
            vec![],
            vec!["192.0.2.1"],
            vec!["192.0.2.2", "127.0.0.1"],
            vec!["10.0.0.1", "10.96.0.1", "fd00:10::1"],
        ]),
        select(vec![vec![], vec!["192.0.2.1"], vec!["192.0.2.9", "2001:db8::9"]]),
        select(vec![
            None,
            Some(vec![]),
            Some(vec!["198.51.100.0/24", "10.0.0.1/32"]),
            Some(vec!["0.0.0.0/0", "2001:db8::/32"]),
        ]),
    );
    let policies = (policy(), policy(), prop::option::of(1u32..3), tuning());
    (
        name(),
        0i64..3,
        select(vec![ServiceType::ClusterIp, ServiceType::NodePort, ServiceType::LoadBalancer]),
        addresses,
        prop::collection::btree_map(0u8..3, service_port(), 0..3),
        policies,
        select(vec![0u16, 0, 32000]),
    )
        .prop_map(|(name, created, kind, addresses, ports, policies, health)| {
            let all = |texts: Vec<&str>| texts.into_iter().map(ip).collect::<Vec<_>>();
            // The API server sees to it that no two ports of a Service have one name, or one
            // protocol and port.
            let mut distinct: Vec<ServicePort> = Vec::new();
            for port in ports.into_values() {
                let clash = distinct.iter().any(|other| {
                    other.protocol == port.protocol
                        && (other.port == port.port || other.name == port.name)
                });
                if !clash {
                    distinct.push(port);
                }
            }
            Service {
                uid: "".into(),
                created,
                kind,
                cluster_ips: all(addresses.0),
                external_ips: all(addresses.1),
                load_balancer_ips: all(addresses.2),
                source_ranges: addresses
                    .3
                    .map(|ranges| ranges.into_iter().map(|range| range.parse().unwrap()).collect()),
                ports: distinct,
                internal_policy: policies.0,
                external_policy: policies.1,
                affinity: policies.2,
                tuning: policies.3,
                health_check_node_port: health,
                ..Service::new(name)
            }
        })
}

fn endpoint(family: Family) -> impl Strategy<Value = Endpoint> {
    let hints = (
        prop::collection::vec(select(vec!["z1", "z2"]), 0..2),
        prop::collection::vec(select(vec!["here", "there"]), 0..2),
    );
    (0u8..6, any::<(bool, bool, bool)>(), prop::option::of(select(vec!["here", "there"])), hints)
        .prop_map(move |(last, (ready, serving, terminating), node, (zones, nodes))| Endpoint {
            address: match family {
                Family::V4 => IpAddr::from([10, 244, 0, last]),
                Family::V6 => IpAddr::from([0xfd00, 0x244, 0, 0, 0, 0, 0, u16::from(last)]),
            },
            conditions: Conditions { ready, serving, terminating },
            node: node.map(Into::into),
            hints: Hints {
                zones: zones.into_iter().map(Into::into).collect(),
                nodes: nodes.into_iter().map(Into::into).collect(),
            },
        })
}

fn slice() -> impl Strategy<Value = EndpointSlice> {
    let ports = prop::collection::vec(
        (select(vec!["", "http", "dns"]), protocol(), select(vec![80u16, 8080])),
        0..3,
    );
    (slice_name(), name(), select(Family::ALL.to_vec()), ports, prop::option::of(0u16..4))
        .prop_flat_map(|(name, service, family, ports, weight)| {
            prop::collection::vec(endpoint(family), 0..5).prop_map(move |endpoints| EndpointSlice {
                name: name.clone(),
                service: service.clone(),
                family,
                ports: ports
                    .iter()
                    .map(|(name, protocol, port)| SlicePort {
                        name: (*name).into(),
                        protocol: *protocol,
                        port: *port,
                    })
                    .collect(),
                endpoints,
                weight,
            })
        })
}

fn node() -> impl Strategy<Value = NodeObject> {
    (
        prop::option::of(select(vec!["z1", "z2"])),
        prop::sample::subsequence(vec!["10.0.0.1", "10.0.0.2", "fd00:10::1"], 0..3),
    )
        .prop_map(|(zone, addresses)| NodeObject {
            zone: zone.map(Into::into),
            addresses: addresses.into_iter().map(ip).collect(),
            pod_cidrs: Vec::new(),
        })
}

fn local_address() -> impl Strategy<Value = LocalAddress> {
    select(vec!["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00:10::1", "fe80::1", "127.0.0.1"])
        .prop_map(|address| LocalAddress { interface: "eth0".into(), address: ip(address) })
}
