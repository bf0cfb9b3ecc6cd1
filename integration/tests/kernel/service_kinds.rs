//! Which Services and slices are proxied at all.

use serde_json::{Value, json};
use test_api::Resource;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{answers, names, soon, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, Unanswered};

fn web(number: u8) -> ServiceSpec {
    ServiceSpec::new(&format!("web{number}"), number).port("http", Protocol::Tcp, 80, 8080)
}

/// The same slice under another name, with these fields changed.
fn renamed(slice: &Value, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut slice = slice.clone();
    slice["metadata"]["name"] = name.into();
    change(&mut slice);
    slice
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn services_that_are_no_proxys_or_another_proxys_business_are_left_alone() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (pod, node) = (cluster.topology.pod(1, 2), cluster.topology.node(1).namespace());
    let name = json!({"labels": {"service.kubernetes.io/service-proxy-name": "another"}});
    let headless = web(3).spec(&json!({"clusterIP": "None", "clusterIPs": ["None"]}));
    let external = web(4).spec(&json!({
        "type": "ExternalName", "externalName": "example.org", "clusterIP": null, "clusterIPs": null,
    }));
    for spec in [web(1), web(2).metadata(&name), headless, external] {
        cluster.publish(&spec, &[(1, 1)]).unwrap();
    }
    let _servers = cluster.serve(&[(1, 1)], &[Protocol::Tcp], 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let bound = || witness::addresses(node).unwrap();
    assert_eq!(bound(), names(["10.96.0.1", "fd96::1"]));
    assert!(pod.ask(Protocol::Tcp, web(1).at_v4(80)).is_ok());
    let answer = pod.ask_within(Protocol::Tcp, web(2).at_v4(80), soon());
    assert_eq!(answer, Err(Unanswered::TimedOut));
    // The label comes and goes.
    cluster.apply(&web(1).metadata(&name).service()).unwrap();
    cluster.apply(&web(2).service()).unwrap();
    eventually("the labels' effect", || {
        Ok((bound() == names(["10.96.0.2", "fd96::2"])).then_some(()))
    })
    .unwrap();
    assert!(pod.ask(Protocol::Tcp, web(2).at(Family::V6, 80)).is_ok());
    // A Service becomes another kind of Service.
    let external = json!({"type": "ExternalName", "externalName": "example.org"});
    cluster.apply(&web(2).spec(&external).service()).unwrap();
    eventually("nothing", || Ok(bound().is_empty().then_some(()))).unwrap();
    assert!(witness::ipvsadm(node).unwrap().is_empty());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn endpoints_of_all_slices_count_once_each_as_long_as_one_slice_has_them() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let (from, node) = (cluster.topology.node(1), cluster.topology.node(1).namespace());
    let web = web(1).single_stack(Family::V4);
    let to = web.at_v4(80);
    cluster.apply(&web.service()).unwrap();
    let _servers =
        cluster.serve(&[(1, 1), (1, 2), (2, 1), (2, 2)], &[Protocol::Tcp], 8080).unwrap();
    let slice = |pods: &[(u8, u8)]| web.slices(pods).remove(0);
    let leaving = json!({"conditions": {"ready": false, "serving": true, "terminating": true}});
    // Two slices share a pod; in a third one the same pod is terminating.
    let third = web.slices_with(&[(1, 1, leaving)]).remove(0);
    // Slices of DNS names have no addresses, and slices of other proxies' Services are ignored.
    let of_names = renamed(&slice(&[]), "names", |slice| {
        slice["addressType"] = "FQDN".into();
        slice["endpoints"] = json!([{"addresses": ["pod.example.org"]}]);
    });
    let of_nobody = renamed(&slice(&[(2, 2)]), "nobodys", |slice| {
        slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": "nobody"});
    });
    cluster
        .apply_all(&[
            renamed(&slice(&[(1, 1), (1, 2)]), "first", |_| {}),
            renamed(&slice(&[(1, 1), (2, 1)]), "second", |_| {}),
            renamed(&third, "third", |_| {}),
            of_names,
            of_nobody,
        ])
        .unwrap();
    let _proxy = cluster.proxy(1).config("trimtab: {drainTimeout: 0s}").start().unwrap();
    let all = names(["node1-pod1", "node1-pod2", "node2-pod1"]);
    assert_eq!(answers(from, Protocol::Tcp, to), Ok(all.clone()));
    let lines = witness::ipvsadm(node).unwrap();
    assert_eq!(lines.iter().filter(|line| line.starts_with("-a ")).count(), 3, "{lines:?}");
    // One of the two that share the pod goes.
    cluster.api.delete(Resource::EndpointSlices, "default/first").unwrap();
    until_answered_by(from, Protocol::Tcp, to, &names(["node1-pod1", "node2-pod1"])).unwrap();
    // Now only the slice in which it is terminating has it, and another pod is ready.
    cluster.apply(&renamed(&slice(&[(2, 1)]), "second", |_| {})).unwrap();
    until_answered_by(from, Protocol::Tcp, to, &names(["node2-pod1"])).unwrap();
    cluster.api.delete(Resource::EndpointSlices, "default/second").unwrap();
    until_answered_by(from, Protocol::Tcp, to, &names(["node1-pod1"])).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_service_that_publishes_unready_addresses_is_answered_by_them() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = web(1).spec(&json!({"publishNotReadyAddresses": true}));
    cluster.apply(&web.service()).unwrap();
    // As the controller writes it: ready whatever the pod says, also while it ends.
    let published = json!({"conditions": {"ready": true, "serving": false, "terminating": true}});
    let unready = json!({"conditions": {"ready": false, "serving": false, "terminating": true}});
    cluster.apply_all(&web.slices_with(&[(1, 1, published), (2, 1, unready)])).unwrap();
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &[Protocol::Tcp], 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        let found = answers(cluster.topology.pod(1, 2), Protocol::Tcp, web.at(family, 80));
        assert_eq!(found, Ok(names(["node1-pod1"])));
    }
}
