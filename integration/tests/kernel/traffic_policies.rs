//! internalTrafficPolicy and externalTrafficPolicy: which endpoints answer, and what they see.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{
    Names, answers, ask_all, names, refusal, soon, until_answered_by, until_unanswered,
};
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{Host, Layout, PodNetwork, Unanswered, address};

use crate::tracer::{Fate, Tracer};

const NODE_PORT: u16 = 30080;

fn web(internal: &str, external: &str) -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[20])
        .load_balancer(&[30])
        .node_port(NODE_PORT)
        .spec(&json!({"internalTrafficPolicy": internal, "externalTrafficPolicy": external}))
}

/// What a client from outside may use: external IP, load-balancer VIP and node port of a node.
fn outer_ways(node: u8, family: Family) -> [SocketAddr; 3] {
    [
        SocketAddr::new(address::vip(20, family), 80),
        SocketAddr::new(address::vip(30, family), 80),
        SocketAddr::new(address::node(node, family), NODE_PORT),
    ]
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn external_policy_local_keeps_the_client_address_and_never_leaves_the_node() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = web("Cluster", "Local");
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxies = [1, 2].map(|node| cluster.proxy(node).start().unwrap());
    let client = topology.client(1);
    client.route_services_via(topology.node(1)).unwrap();
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            for to in outer_ways(1, family) {
                let answer = client.ask(protocol, to);
                let answer = answer.unwrap_or_else(|why| panic!("{protocol} {to}: {why}"));
                assert_eq!(answer.name, "node1-pod1");
                assert_eq!(answer.seen_peer.ip(), client.address(family), "{protocol} {to}");
            }
            // Inside the cluster the policy does not count.
            let inside = answers(topology.pod(2, 2), protocol, web.at(family, 80));
            assert_eq!(inside, Ok(names(["node1-pod1"])));
        }
    }
    client.route_services_via(topology.node(2)).unwrap();
    let ways: Vec<_> = Family::ALL.iter().flat_map(|family| outer_ways(2, *family)).collect();
    let questions = |protocol| ways.iter().map(move |to| (client, protocol, *to));
    for answer in ask_all(&questions(Protocol::Tcp).collect::<Vec<_>>(), refusal()) {
        assert_eq!(answer, Err(Unanswered::Refused), "without a local pod");
    }
    // The kernel limits ICMP errors in number, and SCTP takes them for hints.
    let others = questions(Protocol::Udp).chain(questions(Protocol::Sctp));
    for answer in ask_all(&others.collect::<Vec<_>>(), soon()) {
        assert!(answer.is_err(), "without a local pod: {answer:?}");
    }
    // The pod moves to the other node, and so does the service.
    cluster.apply_all(&web.slices(&[(2, 1)])).unwrap();
    for to in outer_ways(2, Family::V4) {
        until_answered_by(client, Protocol::Tcp, to, &names(["node2-pod1"])).unwrap();
    }
    let gone = outer_ways(1, Family::V4)[2];
    until_unanswered(client, Protocol::Tcp, gone, &Unanswered::Refused).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn internal_policy_local_stays_on_the_node_also_where_the_service_has_outer_ways() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = web("Local", "Cluster");
    cluster.publish(&web, &[(1, 1), (2, 1)]).unwrap();
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxies = [1, 2]
        .map(|node| cluster.proxy(node).config("trimtab: {drainTimeout: 0s}").start().unwrap());
    for protocol in Protocol::ALL {
        for family in Family::ALL {
            for (node, own) in [(1, "node1-pod1"), (2, "node2-pod1")] {
                for from in [topology.pod(node, 2), topology.node(node)] {
                    let found = answers(from, protocol, web.at(family, 80));
                    assert_eq!(found, Ok(names([own])), "{} by {protocol}", from.name());
                }
                let outside = answers(topology.client(1), protocol, outer_ways(node, family)[2]);
                assert_eq!(outside, Ok(names(["node1-pod1", "node2-pod1"])), "{protocol}");
            }
        }
    }
    cluster.apply_all(&web.slices(&[(2, 1)])).unwrap();
    let [four, six] = Family::ALL.map(|family| web.at(family, 80));
    until_unanswered(topology.pod(1, 2), Protocol::Tcp, four, &Unanswered::Refused).unwrap();
    until_unanswered(topology.node(1), Protocol::Tcp, six, &Unanswered::Refused).unwrap();
    for family in Family::ALL {
        let outside = answers(topology.client(1), Protocol::Tcp, outer_ways(1, family)[2]);
        assert_eq!(outside, Ok(names(["node2-pod1"])));
    }
}

fn conditions(ready: bool, serving: bool, terminating: bool) -> Value {
    json!({"conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_that_leave_answer_only_while_nobody_else_can() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = web("Cluster", "Local");
    let ready = conditions(true, true, false);
    let leaving = conditions(false, true, true);
    let [unready, deaf] = [conditions(false, false, false), conditions(false, false, true)];
    let builder = cluster.proxy(1).config("trimtab: {drainTimeout: 0s}");
    let publish = |states: [&Value; 3]| {
        let pods = [(1, 1), (1, 2), (2, 1)];
        let pods: Vec<_> = pods
            .into_iter()
            .zip(states)
            .map(|((node, pod), state)| (node, pod, state.clone()))
            .collect();
        let slices = web.slices_with(&pods);
        cluster.apply_all(&slices).unwrap();
        let objects = [vec![web.service()], slices].concat();
        Tracer::new(1, PodNetwork::Routed, &builder, &objects)
    };
    cluster.apply(&web.service()).unwrap();
    let tracer = publish([&ready, &leaving, &ready]);
    let _servers = cluster.serve(&[(1, 1), (1, 2), (2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxy = builder.start().unwrap();
    // By the cluster IP every pod may answer, by the node port only those on the node.
    let (inside, outside) = (web.at_v4(80), outer_ways(1, Family::V4)[2]);
    let (pod, client) = (topology.pod(2, 2), topology.client(1));
    topology.node(2).route_services_via(topology.node(1)).unwrap();
    let who = |tracer: &Tracer, from: &Host, to| -> BTreeSet<IpAddr> {
        tracer.answering(from, Protocol::Tcp, to).into_iter().collect()
    };
    let named = |names: &Names| -> BTreeSet<IpAddr> {
        let pods = [topology.pod(1, 1), topology.pod(1, 2), topology.pod(2, 1)];
        let found = pods.into_iter().filter(|pod| names.contains(pod.name()));
        found.map(|pod| pod.address(Family::V4)).collect()
    };
    let until = |tracer: &Tracer, any: Names, local: Names| {
        // The node asks, as it gets its answers back from anywhere.
        until_answered_by(topology.node(1), Protocol::Tcp, inside, &any).unwrap();
        until_answered_by(client, Protocol::Tcp, outside, &local).unwrap();
        assert_eq!(who(tracer, topology.node(1), inside), named(&any));
        assert_eq!(who(tracer, client, outside), named(&local));
    };
    until(&tracer, names(["node1-pod1", "node2-pod1"]), names(["node1-pod1"]));
    // The last ready pod of the node is terminating: the node's terminating pods are used.
    let tracer = publish([&leaving, &leaving, &ready]);
    until(&tracer, names(["node2-pod1"]), names(["node1-pod1", "node1-pod2"]));
    // Nobody is ready any more.
    let tracer = publish([&leaving, &deaf, &leaving]);
    until(&tracer, names(["node1-pod1", "node2-pod1"]), names(["node1-pod1"]));
    let tracer = publish([&unready, &ready, &leaving]);
    until(&tracer, names(["node1-pod2"]), names(["node1-pod2"]));
    let tracer = publish([&unready, &deaf, &deaf]);
    for (from, to) in [(topology.node(1), inside), (client, outside)] {
        assert_eq!(tracer.fate(from, Protocol::Tcp, to), Fate::Refused);
    }
    until_unanswered(topology.node(1), Protocol::Tcp, inside, &Unanswered::Refused).unwrap();
    until_unanswered(client, Protocol::Tcp, outside, &Unanswered::Refused).unwrap();
    until_unanswered(pod, Protocol::Udp, inside, &Unanswered::Refused).unwrap();
}
