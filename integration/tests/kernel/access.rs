//! VIPs accept connections on the ports of their Services and on no others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{ask_all, soon};
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{Layout, Server, Unanswered, address};

/// Where a daemon of the host listens, on every address that the host has.
const DAEMON: u16 = 2222;

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_daemon_of_the_host_is_not_reachable_through_a_vip() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let node = topology.node(1);
    let web = ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[20])
        .load_balancer(&[30])
        .node_port(30080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let _server = topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let sockets = everywhere.map(|any| [Protocol::Tcp, Protocol::Udp].map(|p| (p, any)));
    let sockets: Vec<_> = sockets
        .into_iter()
        .flatten()
        .map(|(protocol, any)| (protocol, SocketAddr::new(any, DAEMON)))
        .collect();
    let _daemon = Server::start(node.namespace(), "daemon", &sockets).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    topology.client(1).route_services_via(node).unwrap();
    let mut refused = Vec::new();
    for family in Family::ALL {
        for from in [topology.client(1), topology.pod(1, 2), node] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let own = SocketAddr::new(node.address(family), DAEMON);
                assert_eq!(from.ask(protocol, own).unwrap().name, "daemon");
                for number in [1, 20, 30] {
                    let at = |port| SocketAddr::new(address::vip(number, family), port);
                    assert_eq!(from.ask(protocol, at(80)).unwrap().name, "node1-pod1");
                    // A node port is a port of the node's own addresses only.
                    refused.extend([DAEMON, 30080].map(|port| (from, protocol, at(port))));
                }
            }
        }
    }
    for ((from, protocol, to), answer) in refused.iter().zip(ask_all(&refused, soon())) {
        // The kernel rate-limits ICMP errors, so a refusal may be lost.
        let is_refused = matches!(answer, Err(Unanswered::Refused | Unanswered::TimedOut));
        assert!(is_refused, "{} by {protocol} to {to}: {answer:?}", from.name());
    }
    let refused = topology.client(1).ask(Protocol::Tcp, web.at_v4(DAEMON));
    assert_eq!(refused, Err(Unanswered::Refused), "not just dropped");
}
