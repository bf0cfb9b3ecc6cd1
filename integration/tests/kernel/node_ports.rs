//! Node ports: the addresses that serve them, and the client addresses that pods see.

use std::net::{IpAddr, SocketAddr};

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::soon;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Host, Layout, PodNetwork, Unanswered, address};

use crate::tracer::{Fate, Seen, Tracer};

const PORT: u16 = 30080;

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080).node_port(PORT)
}

/// A further address of node 1.
fn second(family: Family) -> IpAddr {
    match family {
        Family::V4 => "172.30.0.61".parse().unwrap(),
        Family::V6 => "fd30::61".parse().unwrap(),
    }
}

fn change_second(node: &Host, verb: &str) {
    let lines = [
        format!("address {verb} {}/24 dev eth0", second(Family::V4)),
        format!("address {verb} {}/64 dev eth0 nodad", second(Family::V6)),
    ];
    node.namespace().ip_batch(&lines).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn every_node_answers_whoever_asks_and_masquerades() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    cluster.publish(&web(), &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxies = [1, 2].map(|node| cluster.proxy(node).start().unwrap());
    let objects = [vec![web().service()], web().slices(&[(2, 1)])].concat();
    let tracers =
        [1, 2].map(|node| Tracer::new(node, PodNetwork::Routed, &cluster.proxy(node), &objects));
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            for (node, from) in [
                (1, topology.client(1)),
                (1, topology.pod(1, 1)),
                (1, topology.node(1)),
                (1, topology.node(2)),
                (2, topology.client(1)),
                (2, topology.pod(1, 1)),
            ] {
                let to = SocketAddr::new(topology.node(node).address(family), PORT);
                let what = format!("{} by {protocol} to {to}", from.name());
                let answer = from.ask(protocol, to).unwrap_or_else(|why| panic!("{what}: {why}"));
                assert_eq!(answer.name, "node2-pod1", "{what}");
                // A node has another address towards its own pods.
                let seen = match node {
                    1 => address::node(1, family),
                    _ => address::pod_gateway(2, family),
                };
                assert_eq!(answer.seen_peer.ip(), seen, "{what}");
                let traced = tracers[usize::from(node) - 1].fate(from, protocol, to);
                let pod = (address::pod(2, 1, family), 8080).into();
                assert_eq!(traced, Fate::Answered(vec![(pod, Seen::ThisNode)]), "{what}");
            }
        }
    }
    for localhost in ["127.0.0.1:30080", "[::1]:30080"] {
        let answer = topology.node(1).ask(Protocol::Tcp, localhost.parse().unwrap());
        assert_eq!(answer, Err(Unanswered::Refused), "loopback addresses have no node ports");
        let to = localhost.parse().unwrap();
        let traced = tracers[0].fate(topology.node(1), Protocol::Tcp, to);
        assert_eq!(traced, Fate::NotAService);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn only_the_addresses_that_were_chosen_answer() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (client, node) = (cluster.topology.client(1), cluster.topology.node(1));
    change_second(node, "add");
    cluster.publish(&web(), &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &Protocol::ALL, 8080).unwrap();
    // For each family, whether the first and the second address answer.
    for (choice, answering) in [
        ("[172.30.0.61/32, 'fd30::/120']", [[false, true], [true, true]]),
        ("[primary]", [[true, false], [true, false]]),
        ("['fd30::61/128']", [[true, true], [false, true]]),
    ] {
        let proxy = cluster.proxy(1).config(&format!("nodePortAddresses: {choice}"));
        let proxy = proxy.start().unwrap();
        for (family, expected) in Family::ALL.into_iter().zip(answering) {
            let addresses = [node.address(family), second(family)];
            for (address, expected) in addresses.into_iter().zip(expected) {
                for protocol in Protocol::ALL {
                    let to = SocketAddr::new(address, PORT);
                    let what = format!("{choice}: {protocol} {to}");
                    match client.ask(protocol, to) {
                        Ok(_) => assert!(expected, "{what}"),
                        Err(why) => {
                            assert!(!expected, "{what}: {why}");
                            assert_eq!(why, Unanswered::Refused, "{what}");
                        }
                    }
                }
            }
        }
        drop(proxy);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn an_address_serves_from_when_it_comes_until_it_goes() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (client, node) = (cluster.topology.client(1), cluster.topology.node(1));
    cluster.publish(&web(), &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &Protocol::ALL, 8080).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    let before = witness::ipvsadm(node.namespace()).unwrap();
    let scts = || witness::ipset(node.namespace()).unwrap();
    let elements = scts();
    // An open connection through the first address is not affected by the second.
    let first = SocketAddr::new(node.address(Family::V4), PORT);
    let mut open = client.connect(Protocol::Tcp, first).unwrap();
    for _ in 0..2 {
        change_second(node, "add");
        for family in Family::ALL {
            for protocol in Protocol::ALL {
                let to = SocketAddr::new(second(family), PORT);
                eventually(format!("an answer at {protocol} {to}"), || {
                    Ok(client.ask_within(protocol, to, soon()).ok())
                })
                .unwrap();
            }
        }
        let with = scts();
        let hashed = with.iter().filter(|line| line.contains("172.30.0.61,sctp:30080"));
        assert_eq!(hashed.count(), 1, "{with:?}");
        change_second(node, "del");
        eventually("the end of the second address", || {
            let same = witness::ipvsadm(node.namespace())? == before && scts() == elements;
            Ok(same.then_some(()))
        })
        .unwrap();
        open.ask().unwrap();
    }
    drop(proxy);
}
