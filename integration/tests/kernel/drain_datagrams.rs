//! Removed UDP and SCTP real servers are deleted at once, together with their connections.

use std::net::SocketAddr;

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::soon;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Connection, Host, Layout, address};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn dns() -> ServiceSpec {
    ServiceSpec::new("dns", 1).every_protocol(53, 5353).node_port(30053)
}

/// IPVS's connections to a pod.
fn connections(node: &Host, pod: (u8, u8), protocol: Protocol) -> Vec<String> {
    let all = witness::connections(node.namespace()).unwrap();
    let ends = Family::ALL
        .map(|family| SocketAddr::new(address::pod(pod.0, pod.1, family), 5353).to_string());
    let is_its = |line: &String| {
        line.starts_with(protocol.upper()) && ends.iter().any(|end| line.trim_end().ends_with(end))
    };
    all.into_iter().filter(is_its).collect()
}

/// Conntrack entries of connections that a pod answers.
fn tracked(node: &Host, pod: (u8, u8), protocol: Protocol) -> Vec<String> {
    let of_family = |family: Family| {
        let answered_by = format!("src={} ", address::pod(pod.0, pod.1, family));
        let all = witness::conntrack(node.namespace(), family).unwrap();
        all.into_iter().filter(move |line| {
            line.starts_with(protocol.lower())
                && line.contains("sport=5353 ")
                && line.contains(&answered_by)
        })
    };
    Family::ALL.into_iter().flat_map(of_family).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_with_a_fixed_port_is_answered_by_another_pod_at_once() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let (node, pod, client) = (topology.node(1), topology.pod(1, 2), topology.client(1));
    client.route_services_via(node).unwrap();
    cluster.publish(&dns(), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 5353).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    // By the VIP from a pod, an outsider and the node, and by the node port.
    let ways = |family: Family| {
        let (vip, node_port) = (dns().at(family, 53), SocketAddr::new(node.address(family), 30053));
        [(pod, vip), (client, vip), (node, vip), (client, node_port)]
    };
    // Each client has one socket for each pod: round robin, so two of each reach both.
    let mut sockets: Vec<Connection> = Vec::new();
    for family in Family::ALL {
        for (port, (from, to)) in (4000..).step_by(2).zip(ways(family)) {
            for port in [port, port + 1] {
                sockets.push(from.connect_from(Protocol::Udp, port, to).unwrap());
            }
        }
    }
    let mut asked = |leaving: &str| {
        let names = sockets.iter_mut().map(|socket| socket.ask().unwrap().name);
        names.filter(|name| name == leaving).count()
    };
    assert_eq!(asked("node1-pod1"), 8, "half of them");
    let found = connections(node, (1, 1), Protocol::Udp);
    assert!(!found.is_empty(), "{:?}", witness::connections(node.namespace()));
    assert!(!tracked(node, (1, 1), Protocol::Udp).is_empty());
    let mut association = pod.connect(Protocol::Sctp, dns().at_v4(53)).unwrap();
    let mut other = pod.connect(Protocol::Sctp, dns().at_v4(53)).unwrap();
    let both = [&mut association, &mut other].map(|one| one.ask().unwrap().name);
    assert!(both.contains(&"node1-pod1".to_owned()), "{both:?}");

    cluster.apply_all(&dns().slices(&PODS[1..])).unwrap();
    eventually("the end of the real server", || {
        let lines = witness::ipvsadm(node.namespace())?;
        let leaving =
            |line: &&String| !line.contains("-t ") && line.contains(":5353") && is_first(line);
        Ok((lines.iter().filter(leaving).count() == 0).then_some(()))
    })
    .unwrap();
    // The kernel drops one datagram of a connection whose real server is gone while conntrack still
    // has its entry (ip_vs_in() with expire_nodest_conn), and Trimtab deletes the entries just after
    // the real server.
    eventually("the end of the conntrack entries", || {
        let left = |protocol| tracked(node, (1, 1), protocol).len();
        Ok((left(Protocol::Udp) + left(Protocol::Sctp) == 0).then_some(()))
    })
    .unwrap();
    // From then on no request is lost: the remaining pod answers each, on the same port.
    assert_eq!(asked("node2-pod1"), 16);
    for protocol in [Protocol::Udp, Protocol::Sctp] {
        let left = connections(node, (1, 1), protocol);
        assert!(left.is_empty(), "{left:?}");
    }
    let found = pod.ask(Protocol::Sctp, dns().at_v4(53)).unwrap();
    assert_eq!(found.name, "node2-pod1");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_that_asked_before_there_was_a_service_is_answered_from_the_same_port() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let (node, pod, client) = (topology.node(1), topology.pod(1, 2), topology.client(1));
    client.route_services_via(node).unwrap();
    let _servers = cluster.serve(&PODS[1..], &[Protocol::Udp], 5353).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let mut sockets = Vec::new();
    for family in Family::ALL {
        let vip = dns().at(family, 53);
        let node_port = SocketAddr::new(node.address(family), 30053);
        for (port, from, to) in
            [(4000, pod, vip), (4001, client, vip), (4002, client, node_port), (4003, node, vip)]
        {
            let mut socket = from.connect_from(Protocol::Udp, port, to).unwrap();
            socket.set_patience(soon() / 3).unwrap();
            assert!(socket.ask().is_err());
            sockets.push((from.name(), to, socket));
        }
    }
    cluster.publish(&dns(), &PODS[1..]).unwrap();
    for (name, to, socket) in &mut sockets {
        let mut last = None;
        let answer = eventually("an answer", || {
            last = Some(socket.ask());
            Ok(last.clone().and_then(Result::ok))
        });
        assert!(answer.is_ok(), "{name} to {to}: {last:?}");
    }
}

/// Whether a line of `ipvsadm -Sn` is about the first pod as a real server.
fn is_first(line: &str) -> bool {
    Family::ALL.iter().any(|family| {
        let first = SocketAddr::new(address::pod(1, 1, *family), 5353);
        line.contains(&format!("-r {first} "))
    })
}
