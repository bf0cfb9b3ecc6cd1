//! Weights of Nodes: the share of each endpoint's answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_api::Resource;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, objects, witness};
use trimtab_integration::topology::Layout;

fn node(number: u8, weight: &str) -> Value {
    objects::node(number, &json!({"annotations": {"trimtab.dev/weight": weight}}))
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn endpoints_get_connections_by_the_weight_of_their_node() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    cluster.apply(&node(1, "3")).unwrap();
    cluster.apply(&node(2, "heavy")).unwrap();
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 1)])).unwrap();
    let _servers = [(1, 1), (2, 1)]
        .map(|(node, pod)| topology.pod(node, pod).serve(&[Protocol::Tcp], 8080).unwrap());
    let proxy = cluster
        .proxy(1)
        .config("ipvs: {scheduler: wrr}\ntrimtab: {nodeWeights: true}")
        .start()
        .unwrap();
    let until = |here: u32, there: u32| {
        eventually(format!("weights {here} and {there}"), || {
            let lines = witness::ipvsadm(topology.node(1).namespace())?;
            let has = |pod: u8, weight: u32| {
                Family::ALL.into_iter().all(|family| {
                    let pod = topology.pod(pod, 1).address(family).to_string();
                    let end = format!("-w {weight}");
                    lines.iter().any(|line| line.contains(&pod) && line.ends_with(&end))
                })
            };
            Ok((has(1, here) && has(2, there)).then_some(()))
        })
        .unwrap();
    };
    let answers = |family: Family| {
        let mut answers: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..8 {
            let answer = topology.pod(1, 2).ask(Protocol::Tcp, web.at(family, 80)).unwrap();
            *answers.entry(answer.name).or_default() += 1;
        }
        answers.into_iter().collect::<Vec<_>>()
    };
    let counts = |here: u32, there: u32| {
        let all = [("node1-pod1".to_owned(), here), ("node2-pod1".to_owned(), there)];
        all.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    until(3, 1);
    for family in Family::ALL {
        assert_eq!(answers(family), counts(6, 2), "{family}");
    }
    // A problem with a Node is reported as an Event on the Node, within about a minute.
    assert!(proxy.log().contains("Node node2: InvalidAnnotation: "), "{}", proxy.log());
    cluster.apply(&node(1, "0")).unwrap();
    until(0, 1);
    for family in Family::ALL {
        assert_eq!(answers(family), counts(0, 8), "{family}");
    }
    cluster.api.delete(Resource::Nodes, "node1").unwrap();
    until(1, 1);
    for family in Family::ALL {
        assert_eq!(answers(family), counts(4, 4), "{family}");
    }
}
