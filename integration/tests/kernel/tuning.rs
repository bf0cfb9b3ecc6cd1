//! The `trimtab.dev/` annotations of a Service, changed while connections are open.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{answers, names};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, Namespace, Unanswered};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080)
}

/// Waits until a virtual server is as `ipvsadm -Sn` writes it behind its address.
fn until_server(namespace: &Namespace, protocol: Protocol, to: SocketAddr, wanted: &str) {
    let letter = match protocol {
        Protocol::Tcp => "-t",
        Protocol::Udp => "-u",
        Protocol::Sctp => "--sctp-service",
    };
    let line = format!("-A {letter} {to} {wanted}");
    eventually(&line, || Ok(witness::ipvsadm(namespace)?.contains(&line).then_some(()))).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn another_scheduler_or_flag_cuts_no_connection() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1).namespace());
    cluster.publish(&web(), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    let to = web().at_v4(80);
    let mut open: Vec<_> = Protocol::ALL
        .into_iter()
        .flat_map(|protocol| [protocol; 2])
        .map(|protocol| from.connect(protocol, to).unwrap())
        .collect();
    let before: Vec<_> = open.iter_mut().map(|open| open.ask().unwrap()).collect();
    let scheduler = |name: &str| web().annotation("trimtab.dev/scheduler", name);
    let flags =
        |spec: ServiceSpec, words: &str| spec.annotation("trimtab.dev/scheduler-flags", words);
    // How many pods one client's connections can reach follows from the scheduler.
    for (spec, wanted, reached) in [
        (scheduler("lc"), "-s lc", None),
        (scheduler("sh"), "-s sh", Some(1)),
        (flags(scheduler("sh"), "sh-port"), "-s sh -b sh-port", None),
        (flags(scheduler("sh"), "sh-fallback,sh-port"), "-s sh -b sh-fallback,sh-port", None),
        (scheduler("mh"), "-s mh -b mh-port", None),
        (flags(scheduler("mh"), ""), "-s mh", Some(1)),
        (scheduler("no-such"), "-s rr", Some(2)),
    ] {
        cluster.apply(&spec.service()).unwrap();
        until_server(node, Protocol::Tcp, to, wanted);
        let after: Vec<_> = open.iter_mut().map(|open| open.ask().unwrap()).collect();
        assert_eq!(after, before, "{wanted}");
        let found = answers(from, Protocol::Tcp, to).unwrap().len();
        assert!(reached.is_none_or(|reached| reached == found), "{wanted}: {found}");
    }
    assert!(proxy.log().contains("no-such"), "it is said that there is no such scheduler");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn real_servers_take_no_more_connections_than_allowed() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1).namespace());
    let limited = |most: &str| web().annotation("trimtab.dev/max-connections", most);
    cluster.publish(&limited("2"), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for (protocol, family) in [(Protocol::Tcp, Family::V4), (Protocol::Sctp, Family::V6)] {
        let to = web().at(family, 80);
        cluster.apply(&limited("2").service()).unwrap();
        let until_limit = |wanted: &str| {
            eventually(format!("a limit of {wanted}"), || {
                let lines = witness::thresholds(node)?;
                Ok(lines.iter().all(|line| line == wanted).then_some(()))
            })
            .unwrap();
        };
        until_limit("2");
        let mut open: Vec<_> = (0..4).map(|_| from.connect(protocol, to).unwrap()).collect();
        let fifth = || from.connect(protocol, to).map(drop);
        if protocol == Protocol::Tcp {
            assert_eq!(fifth(), Err(Unanswered::Refused));
        }
        cluster.apply(&limited("4").service()).unwrap();
        until_limit("4");
        assert_eq!(fifth(), Ok(()));
        for open in &mut open {
            open.ask().unwrap();
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn with_one_packet_every_datagram_is_shared_out_and_none_is_remembered() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1).namespace());
    cluster.publish(&web(), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        let to = web().at(family, 80);
        let mut usual = from.connect(Protocol::Udp, to).unwrap();
        let first = usual.ask().unwrap();
        assert_eq!(usual.ask(), Ok(first), "a connection has one pod");
        drop(usual);

        cluster.apply(&web().annotation("trimtab.dev/one-packet", "true").service()).unwrap();
        until_server(node, Protocol::Udp, to, "-s rr -o");
        until_server(node, Protocol::Tcp, to, "-s rr");
        // Answers come from the pod itself, past the VIP, so the socket is not connected.
        let answered = from.namespace().run(|| one_socket(to, 4)).unwrap().unwrap();
        assert_eq!(answered, names(["node1-pod1", "node2-pod1"]), "over {family}");
        cluster.apply(&web().annotation("trimtab.dev/one-packet", "false").service()).unwrap();
        until_server(node, Protocol::Udp, to, "-s rr");
        assert!(from.ask(Protocol::Udp, to).is_ok());
    }
}

/// Sends some datagrams from one socket; who answered.
fn one_socket(to: SocketAddr, times: usize) -> std::io::Result<std::collections::BTreeSet<String>> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let ask = |_| {
        socket.send_to(b"?\n", to)?;
        let mut text = [0; 128];
        let (length, _) = socket.recv_from(&mut text)?;
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        Ok(text.split(' ').next().unwrap_or_default().to_owned())
    };
    (0..times).map(ask).collect()
}
