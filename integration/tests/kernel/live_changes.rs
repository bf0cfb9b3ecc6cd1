//! A Service that changes while connections through it are open.

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{answers, names};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Answer, Connection, Layout, Unanswered};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn another_type_other_ports_and_other_policies_cut_no_connection() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1).namespace());
    cluster.publish(&web(), &PODS).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let ways = Protocol::ALL.map(|protocol| Family::ALL.map(|family| (protocol, family)));
    let mut open: Vec<Connection> = ways
        .into_iter()
        .flatten()
        .flat_map(|way| [way; 2])
        .map(|(protocol, family)| from.connect(protocol, web().at(family, 80)).unwrap())
        .collect();
    let mut ask =
        || -> Vec<Result<Answer, Unanswered>> { open.iter_mut().map(Connection::ask).collect() };
    let before = ask();
    assert!(before.iter().all(Result::is_ok), "{before:?}");
    let local =
        json!({"externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["10.0.0.0/8"]});
    // The expected text for each change, and whether it must be there.
    for (spec, seen, is_there) in [
        (web().port("more", Protocol::Tcp, 81, 8080), "-t 10.96.0.1:81 ", true),
        (web().node_port(30080), "-t 172.30.0.11:30080 ", true),
        (web().load_balancer(&[30]).spec(&local), "-t 10.96.0.30:80 ", true),
        (web().external_ips(&[20]), "-t 10.96.0.20:80 ", true),
        (web(), "-t 10.96.0.20:80 ", false),
    ] {
        cluster.apply(&spec.service()).unwrap();
        eventually(format!("{seen}: {is_there}"), || {
            let lines = witness::ipvsadm(node)?;
            Ok((lines.iter().any(|line| line.contains(seen)) == is_there).then_some(()))
        })
        .unwrap();
        assert_eq!(ask(), before, "{seen}: {is_there}");
    }
    let ports = ["10.96.0.1:81", "10.96.0.30:80", ":30080"];
    let lines = witness::ipvsadm(node).unwrap();
    assert!(!lines.iter().any(|line| ports.iter().any(|port| line.contains(port))), "{lines:?}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_that_listen_on_another_port_get_new_connections_and_keep_the_old_ones() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let from = cluster.topology.pod(1, 2);
    let spec = |target: u16| ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, target);
    cluster.publish(&spec(8080), &PODS[..1]).unwrap();
    let _old = cluster.serve(&PODS[..1], &[Protocol::Tcp], 8080).unwrap();
    let _new = cluster.serve(&PODS[1..], &[Protocol::Tcp], 9090).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        let to = spec(8080).at(family, 80);
        eventually("the first pod", || {
            let found = answers(from, Protocol::Tcp, to);
            Ok((found == Ok(names(["node1-pod1"]))).then_some(()))
        })
        .unwrap();
        let mut open = from.connect(Protocol::Tcp, to).unwrap();
        assert_eq!(open.ask().unwrap().name, "node1-pod1");
        cluster.publish(&spec(9090), &PODS[1..]).unwrap();
        eventually("the other port", || {
            let found = answers(from, Protocol::Tcp, to);
            Ok((found == Ok(names(["node2-pod1"]))).then_some(()))
        })
        .unwrap();
        assert_eq!(open.ask().unwrap().name, "node1-pod1");
        cluster.publish(&spec(8080), &PODS[..1]).unwrap();
        eventually("the first port", || {
            let found = answers(from, Protocol::Tcp, to);
            Ok((found == Ok(names(["node1-pod1"]))).then_some(()))
        })
        .unwrap();
        assert_eq!(open.ask().unwrap().name, "node1-pod1");
    }
}
