//! Services with external traffic policy Local, for clients inside the cluster: what happens over
//! time. Who is served by whom is in `who_answers`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{
    answers, ask_all, names, soon, until_answered_by, until_unanswered,
};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Connection, Host, Layout, Namespace, Unanswered, address};

const NODE_PORT: u16 = 30080;
const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn web(policy: &str) -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[20])
        .load_balancer(&[30])
        .node_port(NODE_PORT)
        .spec(&json!({"externalTrafficPolicy": policy}))
}

/// External IP, load-balancer VIP and node port of node 1.
fn ways(family: Family) -> [SocketAddr; 3] {
    [
        SocketAddr::new(address::vip(20, family), 80),
        SocketAddr::new(address::vip(30, family), 80),
        SocketAddr::new(address::node(1, family), NODE_PORT),
    ]
}

/// Elements of the set by which packets get a mark.
fn marked(node: &Namespace) -> usize {
    let sets = witness::ipset(node).unwrap();
    sets.iter().filter(|line| line.contains(" skbmark ")).count()
}

fn until_marked(node: &Namespace, wanted: usize) {
    eventually(format!("{wanted} marked frontends"), || Ok((marked(node) == wanted).then_some(())))
        .unwrap();
}

/// By three protocols in two families: two VIPs, and node ports at two addresses of the node.
const FRONTENDS: usize = 24;

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn connections_outlive_another_policy_and_an_endpoint_that_moves() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let node = topology.node(1).namespace();
    cluster.publish(&web("Local"), &PODS[1..]).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxies = [1, 2].map(|node| cluster.proxy(node).start().unwrap());
    until_marked(node, FRONTENDS);
    let mut open: Vec<(String, Connection)> = Vec::new();
    for from in [topology.pod(1, 2), topology.node(1)] {
        for protocol in Protocol::ALL {
            for to in Family::ALL.into_iter().flat_map(ways) {
                let name = format!("{} by {protocol} to {to}", from.name());
                open.push((name, from.connect(protocol, to).unwrap()));
            }
        }
    }
    let mut all_answer = |when: &str| {
        for (name, connection) in &mut open {
            let answer = connection.ask().map(|answer| answer.name);
            assert_eq!(answer, Ok("node2-pod1".to_owned()), "{name}, {when}");
        }
    };
    all_answer("at first");
    for (policy, wanted) in [("Cluster", 0), ("Local", FRONTENDS)] {
        cluster.apply(&web(policy).service()).unwrap();
        until_marked(node, wanted);
        all_answer(policy);
    }
    // The endpoint moves here: both views are the same now, and again they are not.
    for (pods, own, other) in
        [(&PODS[..1], Some("node1-pod1"), "node1-pod1"), (&PODS[1..], None, "node2-pod1")]
    {
        cluster.apply_all(&web("Local").slices(pods)).unwrap();
        for to in Family::ALL.into_iter().flat_map(ways) {
            until_answered_by(topology.pod(1, 2), Protocol::Tcp, to, &names([other])).unwrap();
            until_answered_by(topology.node(1), Protocol::Tcp, to, &names([other])).unwrap();
        }
        let outside = ways(Family::V4)[2];
        match own {
            Some(own) => {
                until_answered_by(topology.client(1), Protocol::Tcp, outside, &names([own]))
                    .unwrap();
            }
            None => {
                until_unanswered(topology.client(1), Protocol::Tcp, outside, &Unanswered::Refused)
                    .unwrap();
            }
        }
    }
    // UDP has no connections that could drain: they go on with whoever is there.
    open.retain(|(name, _)| name.contains("TCP"));
    for (name, connection) in &mut open {
        assert_eq!(connection.ask().unwrap().name, "node2-pod1", "{name}");
    }
    cluster.delete_service("web").unwrap();
    until_marked(node, 0);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_pod_reaches_itself_and_a_client_keeps_its_pod_in_its_view() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let affinity = json!({"sessionAffinity": "ClientIP"});
    cluster.publish(&web("Local"), &PODS[..1]).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let ask = |from: &Host, to| answers(from, Protocol::Tcp, to).unwrap();
    for to in Family::ALL.into_iter().flat_map(ways) {
        assert_eq!(ask(topology.pod(1, 1), to), names(["node1-pod1"]), "{to}");
    }
    cluster.publish(&web("Local").spec(&affinity), &PODS).unwrap();
    until_marked(topology.node(1).namespace(), FRONTENDS);
    for family in Family::ALL {
        let [_, vip, node_port] = ways(family);
        // The clients inside have one each, whichever way they come; outside there is one only.
        for from in [topology.pod(1, 2), topology.node(1)] {
            eventually("one pod for one client", || {
                let found = ask(from, vip);
                Ok((found.len() == 1).then_some(()))
            })
            .unwrap();
            assert_eq!(ask(from, vip).len(), 1);
        }
        assert_eq!(ask(topology.client(1), node_port), names(["node1-pod1"]));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn source_ranges_let_in_whom_they_name_inside_and_outside() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let ranges = |ranges: Value| web("Local").spec(&json!({"loadBalancerSourceRanges": ranges}));
    cluster.publish(&ranges(json!(["10.244.0.0/16", "fd44::/48"])), &PODS[1..]).unwrap();
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    until_marked(topology.node(1).namespace(), FRONTENDS);
    let (pod, node) = (topology.pod(1, 2), topology.node(1));
    for family in Family::ALL {
        let [_, vip, node_port] = ways(family);
        assert_eq!(answers(pod, Protocol::Tcp, vip), Ok(names(["node2-pod1"])));
        // The node is named by no range; its own node port has none.
        for answer in ask_all(&[(node, Protocol::Tcp, vip)], soon()) {
            assert!(answer.is_err(), "{answer:?}");
        }
        assert_eq!(answers(node, Protocol::Tcp, node_port), Ok(names(["node2-pod1"])));
    }
    let nodes = ranges(json!(["172.30.0.0/24", "fd30::/64"]));
    cluster.apply(&nodes.service()).unwrap();
    for family in Family::ALL {
        let vip = ways(family)[1];
        until_answered_by(node, Protocol::Tcp, vip, &names(["node2-pod1"])).unwrap();
        eventually("pods are kept out", || {
            let answer = pod.ask_within(Protocol::Tcp, vip, soon());
            Ok((answer == Err(Unanswered::TimedOut)).then_some(()))
        })
        .unwrap();
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn marks_stay_the_same_when_the_program_comes_back_and_foreign_ones_are_left_alone() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let node = cluster.topology.node(1).namespace();
    // One in the range, one outside of it.
    let foreign = "-A -f 4096 -s wlc\n-a -f 4096 -r 198.51.100.10:80 -m -w 3\n-A -f 7 -s rr\n";
    node.command_with_input("ipvsadm", ["-R"], foreign).unwrap();
    cluster.publish(&web("Local"), &PODS[1..]).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    until_marked(node, FRONTENDS);
    let before = witness::State::of_kernel(node).unwrap();
    for line in foreign.lines() {
        assert!(before.servers.contains(line), "{line}");
    }
    proxy.kill().unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    for what in ["ipvs", "ipset", "route"] {
        assert_eq!(proxy.count("trimtab_netlink_messages_total", what).unwrap(), 0, "{what}");
    }
    assert_eq!(witness::State::of_kernel(node).unwrap(), before);
    cluster.delete_service("web").unwrap();
    eventually("only foreign virtual servers", || {
        let left = witness::ipvsadm(node)?;
        Ok((left == foreign.lines().map(str::to_owned).collect()).then_some(()))
    })
    .unwrap();
    drop(proxy);
}
