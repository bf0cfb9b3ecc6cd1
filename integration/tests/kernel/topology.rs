//! The network that the other kernel tests stand on.

use std::net::{IpAddr, SocketAddr};

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{refusal, soon};
use trimtab_integration::topology::{
    Answer, Host, Layout, NodeLayout, PodNetwork, Topology, Unanswered,
};

const PORT: u16 = 8080;

fn at(host: &Host, family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(host.address(family), port)
}

/// Every protocol in both families.
fn every_way() -> impl Iterator<Item = (Protocol, Family)> {
    Protocol::ALL.into_iter().flat_map(|protocol| Family::ALL.map(|family| (protocol, family)))
}

fn assert_reaches(from: &Host, to: &Host) {
    let _server = to.serve(&Protocol::ALL, PORT).expect("a server's sockets");
    for (protocol, family) in every_way() {
        let answer = from.ask(protocol, at(to, family, PORT));
        let Answer { name, seen_peer } = answer.unwrap_or_else(|error| {
            panic!("{} to {} by {protocol} over {family}: {error}", from.name(), to.name())
        });
        assert_eq!(name, to.name());
        assert_eq!(seen_peer.ip(), from.address(family), "{protocol}: nobody is in between");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_reach_pods_of_their_own_and_of_other_nodes() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    assert_reaches(topology.pod(1, 1), topology.pod(1, 2));
    assert_reaches(topology.pod(1, 1), topology.pod(2, 1));
    assert_reaches(topology.pod(1, 1), topology.pod(1, 1));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn bridged_pods_reach_each_other_as_routed_ones_do() {
    let bridged = NodeLayout { pod_network: PodNetwork::Bridged, ..NodeLayout::default() };
    let layout = Layout { nodes: vec![bridged, NodeLayout::default()], clients: 0 };
    let topology = Topology::lay(&layout).unwrap();
    assert_reaches(topology.pod(1, 1), topology.pod(1, 2));
    assert_reaches(topology.pod(1, 1), topology.pod(2, 1));
    assert_reaches(topology.pod(2, 1), topology.pod(1, 1));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nodes_clients_and_pods_reach_nodes_and_nodes_reach_pods() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    assert_reaches(topology.client(1), topology.node(1));
    assert_reaches(topology.node(2), topology.node(1));
    assert_reaches(topology.pod(2, 2), topology.node(1));
    assert_reaches(topology.node(1), topology.pod(1, 2));
    assert_reaches(topology.node(1), topology.pod(2, 2));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn only_a_router_forwards_for_its_pods() {
    let deaf = NodeLayout { is_router: false, ..NodeLayout::default() };
    let layout = Layout { nodes: vec![deaf, NodeLayout::default()], clients: 0 };
    let topology = Topology::lay(&layout).unwrap();
    let _server = topology.pod(2, 1).serve(&[Protocol::Tcp], PORT).unwrap();
    for family in Family::ALL {
        let to = at(topology.pod(2, 1), family, PORT);
        assert!(topology.pod(2, 2).ask(Protocol::Tcp, to).is_ok());
        let answer = topology.pod(1, 1).ask_within(Protocol::Tcp, to, soon());
        assert_eq!(answer, Err(Unanswered::TimedOut), "{family}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_can_tell_how_it_was_not_answered() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    let (client, node) = (topology.client(1), topology.node(1));
    for (protocol, family) in every_way() {
        let (to, way) = (at(node, family, PORT), format!("{protocol} over {family}"));
        assert_eq!(client.ask(protocol, to), Err(Unanswered::Refused), "closed port, {way}");

        let iptables = if family == Family::V4 { "iptables" } else { "ip6tables" };
        let rule = |verb, target: &[&str]| {
            let words = ["-w", verb, "INPUT", "-p", protocol.lower(), "-j"];
            node.namespace().command(iptables, words.iter().chain(target)).unwrap()
        };
        rule("-A", &["DROP"]);
        let dropped = client.ask_within(protocol, to, soon());
        assert_eq!(dropped, Err(Unanswered::TimedOut), "dropped, {way}");
        rule("-D", &["DROP"]);
        let prohibited = match family {
            Family::V4 => "icmp-admin-prohibited",
            Family::V6 => "icmp6-adm-prohibited",
        };
        rule("-A", &["REJECT", "--reject-with", prohibited]);
        let (patience, expected) = match protocol {
            // The kernel's SCTP takes such an ICMP error for a hint and keeps trying.
            Protocol::Sctp => (soon(), Unanswered::TimedOut),
            Protocol::Tcp | Protocol::Udp => (refusal(), Unanswered::Unreachable),
        };
        let rejected = client.ask_within(protocol, to, patience);
        assert_eq!(rejected, Err(expected), "rejected, {way}");
        rule("-D", &["REJECT", "--reject-with", prohibited]);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_connection_lasts_for_many_questions_and_ends_with_its_server() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    let (client, pod) = (topology.node(2), topology.pod(1, 1));
    for protocol in Protocol::ALL {
        let server = pod.serve(&[protocol], PORT).unwrap();
        let mut connection = client.connect(protocol, at(pod, Family::V4, PORT)).unwrap();
        let local = connection.local_address().unwrap();
        for _ in 0..3 {
            let answer = connection.ask().unwrap();
            assert_eq!(answer, Answer { name: pod.name().to_owned(), seen_peer: local });
        }
        drop(server);
        let expected = match protocol {
            Protocol::Udp => Unanswered::Refused,
            Protocol::Tcp | Protocol::Sctp => Unanswered::Closed,
        };
        assert_eq!(connection.ask(), Err(expected), "{protocol}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_real_server_behind_ipvs_answers_in_its_own_name() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    let (client, node, pod) = (topology.client(1), topology.node(1), topology.pod(1, 1));
    let _server = pod.serve(&Protocol::ALL, PORT).unwrap();
    client.route_services_via(node).unwrap();
    let vip = |family| match family {
        Family::V4 => "10.96.0.10".parse::<IpAddr>().unwrap(),
        Family::V6 => "fd96::10".parse().unwrap(),
    };
    let bind = |family: Family| format!("addr add {}/{} dev lo", vip(family), family.host_prefix());
    node.namespace().ip_batch(&Family::ALL.map(bind)).unwrap();
    for (protocol, family) in every_way() {
        let vip = SocketAddr::new(vip(family), 80);
        let ipvs = format!(
            "-A --{p}-service {vip} -s rr\n-a --{p}-service {vip} -r {} -m\n",
            at(pod, family, PORT),
            p = protocol.lower(),
        );
        node.namespace().command_with_input("ipvsadm", ["-R"], &ipvs).unwrap();

        let answer = client
            .ask(protocol, vip)
            .unwrap_or_else(|error| panic!("{protocol} through {vip}: {error}"));
        assert_eq!(answer.name, pod.name());
        assert_eq!(answer.seen_peer.ip(), client.address(family));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nothing_of_a_topology_is_left_when_it_is_dropped() {
    let topology = Topology::lay(&Layout::default()).unwrap();
    let name = topology.pod(2, 2).namespace().name().to_owned();
    let (prefix, _) = name.split_once("-node").unwrap();
    let names = || {
        let entries = std::fs::read_dir("/run/netns").unwrap().map(|entry| entry.unwrap());
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
    };
    assert_eq!(names(), 8, "a fabric, two nodes, four pods, a client");
    drop(topology);
    assert_eq!(names(), 0);
}
