//! Session affinity: a client keeps its pod.

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{answers, names, refusal, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::Layout;

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn sticky(seconds: u32) -> serde_json::Value {
    json!({
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}},
    })
}

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_keeps_its_pod_and_another_has_its_own() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    cluster.publish(&web().spec(&sticky(600)), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            let to = web().at(family, 80);
            let found = answers(topology.pod(1, 2), protocol, to).unwrap();
            assert_eq!(found.len(), 1, "{protocol} over {family}: {found:?}");
            // Another client gets the next pod.
            let other = answers(topology.node(1), protocol, to).unwrap();
            assert_eq!(other.len(), 1, "{protocol} over {family}: {other:?}");
            assert_ne!(found, other, "{protocol} over {family}");
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_that_was_away_for_the_timeout_is_a_new_one() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1));
    cluster.publish(&web().spec(&sticky(1)), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &[Protocol::Udp], 8080).unwrap();
    // A connection keeps its client's affinity, and UDP's last for this time.
    let _proxy = cluster.proxy(1).config("ipvs: {udpTimeout: 1s}").start().unwrap();
    let to = web().at_v4(80);
    let first = answers(from, Protocol::Udp, to).unwrap();
    eventually("the end of the client's affinity", || {
        let listed = node.namespace().command("ipvsadm", ["-Lnc"])?;
        Ok((!listed.contains("UDP")).then_some(()))
    })
    .unwrap();
    let second = answers(from, Protocol::Udp, to).unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "round robin goes on");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn switching_it_on_changing_it_and_switching_it_off_cuts_no_connection() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let (from, namespace) = (topology.pod(1, 2), topology.node(1).namespace());
    cluster.publish(&web(), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let to = web().at_v4(80);
    let both = names(["node1-pod1", "node2-pod1"]);
    let mut open: Vec<_> = [Protocol::Tcp, Protocol::Sctp, Protocol::Udp, Protocol::Tcp]
        .map(|protocol| from.connect(protocol, to).unwrap())
        .into();
    let before: Vec<_> = open.iter_mut().map(|open| open.ask().unwrap()).collect();
    for (spec, option) in [
        (web().spec(&sticky(600)), Some("-p 600")),
        (web().spec(&sticky(30)), Some("-p 30")),
        (web(), None),
    ] {
        cluster.apply(&spec.service()).unwrap();
        eventually(format!("{option:?}"), || {
            let lines = witness::ipvsadm(namespace)?;
            let mut servers = lines.iter().filter(|line| line.starts_with("-A"));
            let right = servers.all(|line| match option {
                Some(option) => line.ends_with(option),
                None => !line.contains("-p "),
            });
            Ok(right.then_some(()))
        })
        .unwrap();
        let after: Vec<_> = open.iter_mut().map(|open| open.ask().unwrap()).collect();
        assert_eq!(after, before, "{option:?}");
        if option.is_some() {
            assert_eq!(answers(from, Protocol::Tcp, to).unwrap().len(), 1, "{option:?}");
            open.push(from.connect(Protocol::Tcp, to).unwrap());
        } else {
            until_answered_by(from, Protocol::Tcp, to, &both).unwrap();
        }
        open.truncate(before.len());
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_client_whose_pod_leaves_moves_with_its_next_connection() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let from = cluster.topology.pod(1, 2);
    let spec = web().spec(&sticky(600));
    cluster.publish(&spec, &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for (family, protocol) in [(Family::V4, Protocol::Tcp), (Family::V6, Protocol::Udp)] {
        let to = spec.at(family, 80);
        let mut open = from.connect(protocol, to).unwrap();
        let leaving = open.ask().unwrap().name;
        let (left, other) = match leaving.as_str() {
            "node1-pod1" => ((2, 1), names(["node2-pod1"])),
            _ => ((1, 1), names(["node1-pod1"])),
        };
        cluster.apply_all(&spec.slices(&[left])).unwrap();
        until_answered_by(from, protocol, to, &other).unwrap();
        // Open TCP connections stay with their pod; datagrams move to another, and the kernel may
        // drop the first.
        let expected = if protocol == Protocol::Tcp { &leaving } else { other.first().unwrap() };
        open.set_patience(refusal()).unwrap();
        let answer = open.ask().or_else(|_| open.ask());
        assert_eq!(answer.unwrap().name, *expected);
        cluster.apply_all(&spec.slices(&PODS)).unwrap();
        until_answered_by(from, protocol, to, &other).unwrap();
    }
}
