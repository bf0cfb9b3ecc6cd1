//! What becomes of packets on a node whose state is written out here. That it becomes of real packets
//! too is what the kernel tests show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use trimtab_core::objects::LocalAddress;
use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetElement, SetId, SetKind,
    VirtualServer,
};
use trimtab_host::rules::{LocalDetector, RuleOptions, RuleSet};
use trimtab_reconcile::{KernelState, VirtualServerState};
use trimtab_trace::{End, Node, Outcome, Packet, Place, Step, Trace, Where, trace};

const VIP: &str = "10.96.0.1";
const NODE: &str = "10.0.0.10";
const MARK: u32 = 0x1003;

struct Given {
    state: KernelState,
    rules: RuleSet,
    local: Vec<LocalAddress>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Given {
    /// A node that recognises pods in this way.
    fn detecting(local_detector: LocalDetector) -> Self {
        let options = RuleOptions { local_detector, ..RuleOptions::default() };
        let local =
            |interface: &str, address| LocalAddress { interface: interface.into(), address };
        Self {
            state: KernelState::default(),
            rules: RuleSet::new(&options, Family::V4).unwrap(),
            local: vec![local("lo", ip("127.0.0.1")), local("eth0", ip(NODE))],
        }
    }

    /// A node that recognises all pods of the cluster by their network.
    fn new() -> Self {
        Self::detecting(LocalDetector::Cidr("10.244.0.0/16".parse().unwrap()))
    }

    /// With a virtual server at `frontend`, and real servers with these weights.
    fn server(mut self, frontend: Frontend, real_servers: &[(&str, u32)]) -> Self {
        let real = |(at, weight): &(&str, u32)| {
            let at: SocketAddr = at.parse().unwrap();
            let key = RealServerKey::new(at.ip(), at.port());
            (key, RealServer { weight: *weight, ..RealServer::masqueraded(key) })
        };
        let state = VirtualServerState {
            server: VirtualServer::new(frontend, Scheduler::RoundRobin),
            real_servers: real_servers.iter().map(real).collect::<BTreeMap<_, _>>(),
        };
        self.state.virtual_servers.insert(frontend, state);
        self
    }

    /// With a virtual server at the VIP, which is bound and in this set.
    fn vip(self, kind: SetKind, real_servers: &[(&str, u32)]) -> Self {
        let element = SetElement::IpPort(ip(VIP), Protocol::Tcp, 80);
        let mut given = self
            .server(Frontend::new(Protocol::Tcp, ip(VIP), 80), real_servers)
            .element(kind, element)
            .element(SetKind::IpvsIps, SetElement::Ip(ip(VIP)));
        given.state.addresses.insert(ip(VIP));
        given
    }

    fn element(mut self, kind: SetKind, element: SetElement) -> Self {
        self.state.elements.insert((SetId::new(kind, Family::V4), element));
        self
    }

    /// With an endpoint on this node.
    fn pod(self, at: &str) -> Self {
        let at: SocketAddr = at.parse().unwrap();
        let element = SetElement::IpPortIp(at.ip(), Protocol::Tcp, at.port(), at.ip());
        self.element(SetKind::LoopBack, element)
    }

    fn node(&self) -> Node<'_> {
        Node { state: &self.state, rules: &self.rules, local: &self.local, pod_networks: &[] }
    }

    /// Follows a TCP packet, from where its source is.
    fn follow(&self, source: &str, to: &str) -> Trace {
        let (node, source) = (self.node(), ip(source));
        trace(&node, &packet(source, to, node.place_of(source)))
    }
}

fn packet(source: IpAddr, to: &str, place: Place) -> Packet {
    let destination = to.parse().unwrap();
    let protocol = Protocol::Tcp;
    Packet { protocol, source, source_port: None, destination, place, interface: None }
}

/// Real servers, where they are, and whether the client is masqueraded on the way there.
fn reached(trace: &Trace) -> Vec<(String, Where, bool)> {
    let Outcome::Balanced { ways, .. } = &trace.outcome else { panic!("{:?}", trace.outcome) };
    let mut found = Vec::new();
    for way in ways {
        let End::Arrives { masqueraded } = way.end else { panic!("{way:?}") };
        let one =
            |it: &trimtab_trace::Candidate| (it.server.key.to_string(), it.place, masqueraded);
        found.extend(way.candidates.iter().map(one));
    }
    found
}

/// Chains and numbers of the rules that applied until IPVS chose.
fn rules(trace: &Trace) -> Vec<(&'static str, usize)> {
    let rule = |step: &Step| match step {
        Step::Rule(step) => Some((step.chain, step.number)),
        _ => None,
    };
    trace.steps.iter().filter_map(rule).collect()
}

const TWO: [(&str, u32); 2] = [("10.244.0.5:8080", 1), ("10.244.1.5:8080", 1)];

#[test]
fn a_cluster_ip_keeps_the_addresses_of_pods_and_a_pod_that_reaches_itself_is_masqueraded() {
    let given = Given::new().vip(SetKind::ClusterIp, &TWO).pod("10.244.0.5:8080");
    let here = ("10.244.0.5:8080".to_owned(), Where::Here);
    let elsewhere = ("10.244.1.5:8080".to_owned(), Where::Elsewhere);
    for (source, masqueraded) in [
        ("10.244.0.7", [false, false]),
        ("10.244.0.5", [true, false]),
        ("192.0.2.9", [true, true]),
        (VIP, [true, true]),
    ] {
        let trace = given.follow(source, "10.96.0.1:80");
        let wanted = [&here, &elsewhere].into_iter().zip(masqueraded);
        let wanted: Vec<_> = wanted.map(|((key, place), it)| (key.clone(), *place, it)).collect();
        assert_eq!(reached(&trace), wanted, "{source}");
    }
    let outside = given.follow("192.0.2.9", "10.96.0.1:80");
    // The VIP is an address of this node, so the chain of node ports is asked too.
    let wanted = [
        ("KUBE-SERVICES", 5),
        ("KUBE-MARK-MASQ", 1),
        ("KUBE-SERVICES", 9),
        ("KUBE-SERVICES", 10),
        ("KUBE-IPVS-FILTER", 2),
    ];
    assert_eq!(rules(&outside), wanted);
}

#[test]
fn a_pod_that_the_sets_do_not_know_cannot_reach_itself() {
    let given = Given::new().vip(SetKind::ClusterIp, &TWO[..1]);
    let trace = given.follow("10.244.0.5", "10.96.0.1:80");
    let Outcome::Balanced { ways, .. } = trace.outcome else { panic!("{:?}", trace.outcome) };
    assert_eq!(ways[0].end, End::FromItself);
}

#[test]
fn another_port_of_a_vip_is_rejected_whoever_asks() {
    let given = Given::new().vip(SetKind::ClusterIp, &TWO);
    for source in ["10.244.0.7", "192.0.2.9", VIP] {
        let trace = given.follow(source, "10.96.0.1:81");
        assert_eq!(trace.outcome, Outcome::Rejected, "{source}");
        let Some(Step::Rule(last)) = trace.steps.last() else { panic!("{:?}", trace.steps) };
        assert_eq!((last.chain, last.number), ("KUBE-IPVS-FILTER", 6));
    }
}

#[test]
fn weight_0_gets_nothing_and_is_told_and_none_is_refused() {
    let given = Given::new().vip(SetKind::ClusterIp, &[("10.244.0.5:8080", 0), TWO[1]]);
    let Outcome::Balanced { drained, ways, .. } =
        given.follow("10.244.0.7", "10.96.0.1:80").outcome
    else {
        panic!("nobody")
    };
    assert_eq!((drained.len(), ways.len(), ways[0].candidates.len()), (1, 1, 1));
    for servers in [&[("10.244.0.5:8080", 0)][..], &[]] {
        let trace = Given::new().vip(SetKind::ClusterIp, servers).follow(VIP, "10.96.0.1:80");
        let Outcome::NoRealServer { drained, .. } = trace.outcome else {
            panic!("{:?}", trace.outcome)
        };
        assert_eq!(drained.len(), servers.len());
    }
}

#[test]
fn source_ranges_drop_what_comes_in_before_ipvs_and_what_the_node_sends_after_it() {
    let vip = SetElement::IpPort(ip(VIP), Protocol::Tcp, 80);
    let range = SetElement::IpPortNet(ip(VIP), Protocol::Tcp, 80, "192.0.2.0/24".parse().unwrap());
    let own = SetElement::IpPortIp(ip(VIP), Protocol::Tcp, 80, ip(VIP));
    let given = || {
        Given::new()
            .vip(SetKind::LoadBalancer, &TWO)
            .element(SetKind::LoadBalancerFirewall, vip)
            .element(SetKind::LoadBalancerSourceCidr, range)
    };
    let to = "10.96.0.1:80";
    assert_eq!(reached(&given().follow("192.0.2.9", to)).len(), 2);
    assert_eq!(given().follow("198.51.100.1", to).outcome, Outcome::Dropped);
    let Outcome::Balanced { ways, .. } = given().follow(VIP, to).outcome else { panic!("no way") };
    assert!(ways.iter().all(|way| way.end == End::Dropped), "{ways:?}");
    let with_node = given().element(SetKind::LoadBalancerSourceIp, own);
    assert_eq!(reached(&with_node.follow(VIP, to)).len(), 2);
}

#[test]
fn clients_inside_get_a_mark_and_lose_it_on_the_way_out() {
    let marked = SetElement::IpPortMark(ip(VIP), Protocol::Tcp, 80, MARK);
    let vip = SetElement::IpPort(ip(VIP), Protocol::Tcp, 80);
    let view = Frontend::Mark { mark: MARK, family: Family::V4 };
    let given = Given::new()
        .vip(SetKind::LoadBalancer, &[])
        .element(SetKind::LoadBalancerLocal, vip)
        .element(SetKind::Inside, marked)
        .server(view, &TWO[1..]);
    let to = "10.96.0.1:80";
    for (source, masqueraded) in [("10.244.0.7", false), (VIP, true)] {
        let trace = given.follow(source, to);
        let Outcome::Balanced { server, .. } = &trace.outcome else { panic!("{trace:?}") };
        assert_eq!(server.frontend, view, "{source}");
        assert_eq!(reached(&trace)[0].2, masqueraded, "{source}");
    }
    let outside = given.follow("192.0.2.9", to);
    assert!(matches!(outside.outcome, Outcome::NoRealServer { .. }), "{:?}", outside.outcome);
    // Without its virtual server, a mark changes nothing.
    let mut broken = given;
    broken.state.virtual_servers.remove(&view);
    let inside = broken.follow("10.244.0.7", to);
    assert!(matches!(inside.outcome, Outcome::NoRealServer { .. }), "{:?}", inside.outcome);
}

#[test]
fn a_real_server_that_is_the_node_sees_the_clients_address() {
    let given = Given::new().vip(SetKind::ClusterIp, &[("10.0.0.10:6443", 1)]);
    let found = reached(&given.follow("192.0.2.9", "10.96.0.1:80"));
    assert_eq!(found, [("10.0.0.10:6443".to_owned(), Where::Node, false)]);
}

#[test]
fn what_is_no_service_passes() {
    let given = Given::new().vip(SetKind::ClusterIp, &TWO);
    assert_eq!(given.follow("192.0.2.9", "10.0.0.10:22").outcome, Outcome::ForNode);
    let others = Outcome::ForOthers { masqueraded: false };
    assert_eq!(given.follow("192.0.2.9", "10.244.0.5:8080").outcome, others);
    assert_eq!(given.follow("10.0.0.10", "198.51.100.1:443").outcome, others);
}

#[test]
fn the_source_says_where_a_packet_comes_from() {
    let given = Given::new().vip(SetKind::ClusterIp, &TWO).pod("10.244.0.5:8080");
    let networks = ["10.244.0.0/24".parse().unwrap()];
    let with = Node { pod_networks: &networks, ..given.node() };
    for (source, place, with_networks) in [
        (NODE, Place::Node, Place::Node),
        (VIP, Place::Node, Place::Node),
        ("127.0.0.1", Place::Node, Place::Node),
        ("10.244.0.5", Place::Pod, Place::Pod),
        ("10.244.1.5", Place::PodElsewhere, Place::PodElsewhere),
        // No endpoint: without a network to tell, one of this node.
        ("10.244.1.9", Place::Pod, Place::PodElsewhere),
        ("10.0.0.11", Place::Outside, Place::Outside),
    ] {
        assert_eq!(given.node().place_of(ip(source)), place, "{source}");
        assert_eq!(with.place_of(ip(source)), with_networks, "{source}");
    }
}

#[test]
fn pods_are_recognised_by_their_interface_if_the_rules_do_so() {
    for detector in
        [LocalDetector::Bridge("cni0".to_owned()), LocalDetector::InterfacePrefix("cni".to_owned())]
    {
        let given = Given::detecting(detector).vip(SetKind::ClusterIp, &TWO[1..]);
        let node = given.node();
        for (place, interface, masqueraded) in [
            (Place::Pod, None, false),
            (Place::Pod, Some("cni0"), false),
            (Place::Pod, Some("veth7"), true),
            (Place::PodElsewhere, None, true),
            (Place::Outside, None, true),
        ] {
            let packet = Packet {
                interface: interface.map(Into::into),
                ..packet(ip("10.244.0.7"), "10.96.0.1:80", place)
            };
            let found = reached(&trace(&node, &packet));
            assert_eq!(found[0].2, masqueraded, "{place:?} {interface:?}");
        }
    }
}
