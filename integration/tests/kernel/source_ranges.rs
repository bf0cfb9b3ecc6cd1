//! loadBalancerSourceRanges: who may reach a load-balancer VIP.

use std::net::SocketAddr;

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{ask_all, soon, until_unanswered};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Host, Layout, PodNetwork, Unanswered, address};

use crate::tracer::{Fate, Tracer};

const VIP: u8 = 30;

fn vip(family: Family) -> SocketAddr {
    SocketAddr::new(address::vip(VIP, family), 80)
}

/// A Service whose VIP is open for these ranges.
fn web(ranges: &[&str]) -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .load_balancer(&[VIP])
        .node_port(30080)
        .spec(&json!({"loadBalancerSourceRanges": ranges}))
}

fn cluster() -> Cluster {
    let cluster = Cluster::start(&Layout { clients: 2, ..Layout::default() }).unwrap();
    for client in [1, 2] {
        let node = cluster.topology.node(1);
        cluster.topology.client(client).route_services_via(node).unwrap();
    }
    cluster
}

const ENDPOINTS: [(u8, u8); 2] = [(1, 2), (2, 1)];
const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// Who of `hosts` gets in, by either protocol.
fn let_in(hosts: [&Host; 4], family: Family) -> Vec<bool> {
    let questions: Vec<_> = PROTOCOLS
        .into_iter()
        .flat_map(|protocol| hosts.map(|from| (from, protocol, vip(family))))
        .collect();
    let is_let_in = |answer| match answer {
        Ok(_) => true,
        Err(Unanswered::TimedOut) => false,
        Err(other) => panic!("{}: {other}", vip(family)),
    };
    ask_all(&questions, soon()).into_iter().map(is_let_in).collect()
}

/// Whom `trimtab trace` says to be let in, in the same order.
fn traced_in(cluster: &Cluster, ranges: &[&str], hosts: [&Host; 4], family: Family) -> Vec<bool> {
    let spec = web(ranges);
    let objects = [vec![spec.service()], spec.slices(&ENDPOINTS)].concat();
    let tracer = Tracer::new(1, PodNetwork::Routed, &cluster.proxy(1), &objects);
    let fates = PROTOCOLS
        .into_iter()
        .flat_map(|protocol| hosts.map(|from| tracer.fate(from, protocol, vip(family))));
    let is_let_in = |fate| match fate {
        Fate::Answered(_) => true,
        Fate::Silence => false,
        other => panic!("{}: {other:?}", vip(family)),
    };
    fates.map(is_let_in).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn only_those_within_the_ranges_are_let_in() {
    let cluster = cluster();
    let topology = &cluster.topology;
    let hosts = [topology.client(1), topology.client(2), topology.pod(1, 1), topology.node(1)];
    let [client4, client6] = Family::ALL.map(|family| topology.client(1).address(family));
    let [node4, node6] = Family::ALL.map(|family| topology.node(1).address(family));
    let host =
        |address: std::net::IpAddr| format!("{address}/{}", Family::of(address).host_prefix());
    let own = [client4, client6].map(host);
    let with_node = [client4, client6, node4, node6].map(host);
    let _servers = cluster.serve(&ENDPOINTS, &Protocol::ALL, 8080).unwrap();
    cluster.publish(&web(&own.each_ref().map(String::as_str)), &ENDPOINTS).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    // In the order of `hosts`: who gets in by IPv4, and who by IPv6.
    for (ranges, [four, six]) in [
        (own.to_vec(), [[true, false, false, false]; 2]),
        (with_node.to_vec(), [[true, false, false, true]; 2]),
        (vec!["0.0.0.0/0".to_owned()], [[true; 4], [false; 4]]),
        (
            vec!["10.244.0.0/16".to_owned(), "::/0".to_owned()],
            [[false, false, true, false], [true; 4]],
        ),
    ] {
        let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
        cluster.apply(&web(&ranges).service()).unwrap();
        for (family, expected) in Family::ALL.into_iter().zip([four, six]) {
            let expected = [expected; PROTOCOLS.len()].concat();
            let mut found = Vec::new();
            let right = eventually("the ranges", || {
                found = let_in(hosts, family);
                Ok((found == expected).then_some(()))
            });
            assert!(right.is_ok(), "{family}, {ranges:?}: {found:?}");
            assert_eq!(traced_in(&cluster, &ranges, hosts, family), expected, "{ranges:?}");
            // The ranges do not apply to other frontends.
            let cluster_ip = web(&[]).at(family, 80);
            assert!(topology.pod(1, 1).ask(Protocol::Tcp, cluster_ip).is_ok());
            let node_port = SocketAddr::new(topology.node(1).address(family), 30080);
            assert!(topology.client(2).ask(Protocol::Tcp, node_port).is_ok());
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_range_of_one_address_is_left_alone_by_comparisons() {
    let cluster = cluster();
    let [client, other] = [1, 2].map(|number| cluster.topology.client(number));
    let ranges =
        Family::ALL.map(|family| format!("{}/{}", client.address(family), family.host_prefix()));
    cluster.publish(&web(&ranges.each_ref().map(String::as_str)), &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &Protocol::ALL, 8080).unwrap();
    let proxy = cluster.proxy(1).config("ipvs: {syncPeriod: 500ms}").start().unwrap();
    let messages = || proxy.count("trimtab_netlink_messages_total", "").unwrap();
    let audits = || proxy.count("trimtab_audits_total", "");
    let (sets, before) =
        (witness::ipset(cluster.topology.node(1).namespace()).unwrap(), messages());
    let first = audits().unwrap();
    eventually("two comparisons", || Ok((audits()? >= first + 2).then_some(()))).unwrap();
    assert_eq!(messages(), before, "nothing is deleted and added again");
    assert_eq!(proxy.count("trimtab_drift_total", "").unwrap(), 0);
    assert_eq!(witness::ipset(cluster.topology.node(1).namespace()).unwrap(), sets);
    assert!(client.ask(Protocol::Tcp, vip(Family::V4)).is_ok());
    until_unanswered(other, Protocol::Tcp, vip(Family::V4), &Unanswered::TimedOut).unwrap();
}
