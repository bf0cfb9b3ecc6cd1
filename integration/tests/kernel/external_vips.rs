//! External IPs and load-balancer VIPs.

use std::net::SocketAddr;

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{self, names, soon, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, PodNetwork, Unanswered, address};

use crate::tracer::{Fate, Seen, Tracer};

fn at(number: u8, family: Family) -> SocketAddr {
    SocketAddr::new(address::vip(number, family), 80)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn external_ips_and_every_ingress_vip_answer_everybody_and_masquerade() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let ingress = |number: u8, mode: Option<&str>| {
        Family::ALL.map(|family| {
            let mut ingress = json!({"ip": address::vip(number, family)});
            if let Some(mode) = mode {
                ingress["ipMode"] = mode.into();
            }
            ingress
        })
    };
    let all = [ingress(31, None), ingress(32, Some("VIP")), ingress(33, Some("Proxy"))].concat();
    let web = ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[21, 22])
        .spec(&json!({"type": "LoadBalancer"}))
        .status(&json!({"loadBalancer": {"ingress": all}}));
    cluster.publish(&web, &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    let objects = [vec![web.service()], web.slices(&[(2, 1)])].concat();
    let tracer = Tracer::new(1, PodNetwork::Routed, &cluster.proxy(1), &objects);
    for family in Family::ALL {
        let node = topology.node(1).address(family);
        for protocol in Protocol::ALL {
            for number in [21, 22, 31, 32] {
                for from in [topology.client(1), topology.pod(1, 1), topology.node(1)] {
                    let to = at(number, family);
                    let what = format!("{} by {protocol} to {to}", from.name());
                    let answer =
                        from.ask(protocol, to).unwrap_or_else(|why| panic!("{what}: {why}"));
                    assert_eq!(answer.name, "node2-pod1", "{what}");
                    assert_eq!(answer.seen_peer.ip(), node, "{what}");
                    let pod = (address::pod(2, 1, family), 8080).into();
                    let fate = tracer.fate(from, protocol, to);
                    assert_eq!(fate, Fate::Answered(vec![(pod, Seen::ThisNode)]), "{what}");
                }
            }
        }
        // With ipMode Proxy the load balancer sends to the nodes: the VIP is left to it.
        let answer = topology.pod(1, 1).ask_within(Protocol::Tcp, at(33, family), soon());
        assert_eq!(answer, Err(Unanswered::TimedOut));
        let fate = tracer.fate(topology.pod(1, 1), Protocol::Tcp, at(33, family));
        assert_eq!(fate, Fate::NotAService);
    }
    let bound = witness::addresses(topology.node(1).namespace()).unwrap();
    assert_eq!(bound.len(), 2 * (1 + 2 + 2), "{bound:?}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vip_that_a_real_interface_has_is_served_and_not_bound_a_second_time() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (client, node) = (cluster.topology.client(1), cluster.topology.node(1));
    let change = |verb: &str| {
        let line = |family: Family| {
            let flags = if family == Family::V6 { " nodad" } else { "" };
            let (vip, length) = (address::vip(20, family), family.host_prefix());
            format!("address {verb} {vip}/{length} dev eth0{flags}")
        };
        node.namespace().ip_batch(&Family::ALL.map(line)).unwrap();
    };
    change("add");
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080).external_ips(&[20]);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let _servers = cluster.serve(&[(1, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    client.route_services_via(node).unwrap();
    let mut open = client.connect(Protocol::Tcp, at(20, Family::V4)).unwrap();
    let everywhere = || {
        for family in Family::ALL {
            for protocol in Protocol::ALL {
                let answer = client.ask(protocol, at(20, family));
                assert!(answer.is_ok(), "{protocol} {}: {answer:?}", at(20, family));
            }
        }
    };
    let until_bound = |wanted: bool| {
        eventually(format!("VIPs bound: {wanted}"), || {
            let bound = witness::addresses(node.namespace())?;
            let found =
                Family::ALL.map(|family| bound.contains(&address::vip(20, family).to_string()));
            Ok((found == [wanted; 2]).then_some(()))
        })
        .unwrap();
    };
    until_bound(false);
    everywhere();
    change("del");
    until_bound(true);
    everywhere();
    change("add");
    until_bound(false);
    everywhere();
    open.ask().unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn of_two_services_with_one_frontend_the_older_has_it_and_the_other_takes_over() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let from = cluster.topology.pod(1, 2);
    let spec = |name: &str, number: u8, year: u16| {
        ServiceSpec::new(name, number)
            .port("http", Protocol::Tcp, 80, 8080)
            .external_ips(&[20])
            .metadata(&json!({"creationTimestamp": format!("{year}-01-01T00:00:00Z")}))
    };
    let (older, younger) = (spec("older", 1, 2020), spec("younger", 2, 2024));
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &[Protocol::Tcp], 8080).unwrap();
    cluster.publish(&younger, &[(2, 1)]).unwrap();
    let proxy = cluster.proxy(1).config("trimtab: {drainTimeout: 0s}").start().unwrap();
    let until = |pods| {
        for family in Family::ALL {
            until_answered_by(from, Protocol::Tcp, at(20, family), &names(pods)).unwrap();
        }
    };
    until(["node2-pod1"]);
    // The older one turns up later, as after a restore: it has the frontend all the same.
    cluster.publish(&older, &[(1, 1)]).unwrap();
    until(["node1-pod1"]);
    // The other Service has the frontends that only it asks for.
    let own = traffic::answers(from, Protocol::Tcp, younger.at_v4(80));
    assert_eq!(own, Ok(names(["node2-pod1"])));
    let log = proxy.log();
    assert!(log.contains("default/younger") && log.contains("FrontendConflict"), "{log}");
    assert_eq!(proxy.count("trimtab_problems_total", "FrontendConflict").unwrap(), 1);
    cluster.delete_service("older").unwrap();
    until(["node2-pod1"]);
    cluster.publish(&older, &[(1, 1)]).unwrap();
    until(["node1-pod1"]);
}
