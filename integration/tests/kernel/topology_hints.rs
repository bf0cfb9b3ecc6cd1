//! Hints of EndpointSlices: a node prefers what is meant for it or its zone.

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{Names, names, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec, objects};
use trimtab_integration::topology::Layout;

const PODS: [(u8, u8); 3] = [(1, 1), (2, 1), (2, 2)];

/// Tells a node its zone.
fn set_zone(cluster: &Cluster, node: u8, zone: &str) {
    let labels = json!({"labels": {"topology.kubernetes.io/zone": zone}});
    cluster.apply(&objects::node(node, &labels)).unwrap();
}

fn for_zone(zone: &str) -> Value {
    json!({"hints": {"forZones": [{"name": zone}]}})
}

fn for_node(node: &str) -> Value {
    json!({"hints": {"forNodes": [{"name": node}]}})
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn hints_are_followed_while_labels_and_endpoints_change() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .spec(&json!({"trafficDistribution": "PreferSameZone"}));
    let publish = |hints: [Value; 3]| {
        let pods = PODS.into_iter().zip(hints).map(|((node, pod), hints)| (node, pod, hints));
        cluster.apply_all(&web.slices_with(&pods.collect::<Vec<_>>())).unwrap();
    };
    set_zone(&cluster, 1, "a");
    set_zone(&cluster, 2, "b");
    cluster.apply(&web.service()).unwrap();
    publish([for_zone("a"), for_zone("b"), for_zone("b")]);
    let _servers = cluster.serve(&PODS, &Protocol::ALL, 8080).unwrap();
    let _proxies = [1, 2]
        .map(|node| cluster.proxy(node).config("trimtab: {drainTimeout: 0s}").start().unwrap());
    let until = |node: u8, wanted: &Names| {
        for (family, protocol) in [(Family::V4, Protocol::Tcp), (Family::V6, Protocol::Udp)] {
            let (from, to) = (topology.node(node), web.at(family, 80));
            until_answered_by(from, protocol, to, wanted).unwrap();
        }
    };
    let all = names(["node1-pod1", "node2-pod1", "node2-pod2"]);
    until(1, &names(["node1-pod1"]));
    until(2, &names(["node2-pod1", "node2-pod2"]));

    // The node is told another zone, then one that nothing is meant for.
    set_zone(&cluster, 1, "b");
    until(1, &names(["node2-pod1", "node2-pod2"]));
    set_zone(&cluster, 1, "c");
    until(1, &all);

    // One endpoint without a hint: hints are not to be trusted.
    publish([for_zone("c"), for_zone("b"), json!({})]);
    until(1, &all);
    until(2, &all);

    // Hints for nodes; one for zones beside it does not count.
    let both = json!({"hints": {"forNodes": [{"name": "node2"}], "forZones": [{"name": "c"}]}});
    publish([for_node("node1"), for_node("node1"), both]);
    until(1, &names(["node1-pod1", "node2-pod1"]));
    until(2, &names(["node2-pod2"]));
}
