//! Which clients reach a VIP, and which pods answer.

use std::collections::BTreeSet;

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::{Host, Layout, Unanswered};

/// Asks several times and returns who answered.
fn answers(
    from: &Host,
    spec: &ServiceSpec,
    protocol: Protocol,
    family: Family,
) -> BTreeSet<String> {
    let to = spec.at(family, 80);
    (0..6)
        .map(|_| {
            let answer = from.ask(protocol, to);
            answer.unwrap_or_else(|error| panic!("{} {protocol} {to}: {error}", from.name())).name
        })
        .collect()
}

fn names(pods: &[&str]) -> BTreeSet<String> {
    pods.iter().map(|pod| (*pod).to_owned()).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_the_node_and_outsiders_reach_every_endpoint_through_a_vip() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 1)])).unwrap();
    let _servers = [(1, 1), (2, 1)]
        .map(|(node, pod)| topology.pod(node, pod).serve(&Protocol::ALL, 8080).unwrap());
    let _proxy = cluster.proxy(1).start().unwrap();
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    let both = names(&["node1-pod1", "node2-pod1"]);
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            for from in
                [topology.pod(1, 2), topology.pod(1, 1), topology.node(1), topology.client(1)]
            {
                let found = answers(from, &web, protocol, family);
                assert_eq!(found, both, "from {} by {protocol} over {family}", from.name());
            }
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_pods_see_is_the_pod_that_asked_and_outsiders_are_masqueraded() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(2, 1)])).unwrap();
    let _server = topology.pod(2, 1).serve(&Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            let seen = |from: &Host| from.ask(protocol, web.at(family, 80)).unwrap().seen_peer.ip();
            let pod = topology.pod(1, 1);
            assert_eq!(seen(pod), pod.address(family), "{protocol} over {family}");
            let node = topology.node(1).address(family);
            assert_eq!(seen(topology.client(1)), node, "{protocol} over {family}");
            assert_eq!(seen(topology.node(1)), node, "{protocol} over {family}");
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn endpoints_follow_readiness_and_a_service_without_any_refuses() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    cluster.apply(&web.service()).unwrap();
    let ready = |ready: bool| serde_json::json!({"conditions": {"ready": ready}});
    let slices = |first, second| web.slices_with(&[(1, 1, ready(first)), (2, 1, ready(second))]);
    cluster.apply_all(&slices(true, false)).unwrap();
    let _servers = [(1, 1), (2, 1)]
        .map(|(node, pod)| topology.pod(node, pod).serve(&[Protocol::Tcp], 8080).unwrap());
    let _proxy = cluster.proxy(1).config("trimtab: {drainTimeout: 0s}").start().unwrap();
    // Without draining, a connection that is open while its server goes is cut.
    let until = |pods: &[&str]| {
        eventually(format!("{pods:?}"), || {
            let asked = (0..6).map(|_| topology.pod(1, 2).ask(Protocol::Tcp, web.at_v4(80)));
            let answered: Result<Vec<_>, _> = asked.collect();
            let found = answered.map(|all| all.into_iter().map(|answer| answer.name).collect());
            Ok((found == Ok(names(pods))).then_some(()))
        })
        .unwrap();
    };
    until(&["node1-pod1"]);
    cluster.apply_all(&slices(false, true)).unwrap();
    until(&["node2-pod1"]);
    cluster.apply_all(&slices(true, true)).unwrap();
    until(&["node1-pod1", "node2-pod1"]);
    cluster.apply_all(&web.slices(&[])).unwrap();
    eventually("a refusal", || {
        let answer = topology.pod(1, 2).ask(Protocol::Tcp, web.at_v4(80));
        Ok((answer == Err(Unanswered::Refused)).then_some(()))
    })
    .unwrap();
}
