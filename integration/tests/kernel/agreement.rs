//! What the daemon programs is what `trimtab plan` says.

use trimtab_integration::cluster::witness::{self, Lines, difference};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::Layout;

/// Compares a node's kernel with the plan for some objects, until they agree.
fn assert_agrees(cluster: &Cluster, node: u8, objects: &[serde_json::Value]) {
    let folder = cluster.path("objects");
    std::fs::create_dir_all(&folder).unwrap();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(folder.join("objects.json"), list.to_string()).unwrap();
    let config = cluster.proxy(node).write_config().unwrap();
    let host = cluster.topology.node(node);
    let namespace = host.namespace();
    let found = |output: &str| -> anyhow::Result<Lines> {
        match output {
            "ipvsadm" => witness::ipvsadm(namespace),
            "ipset" => witness::ipset(namespace),
            _ => witness::addresses(namespace),
        }
    };
    for output in ["ipvsadm", "ipset", "addresses"] {
        let wanted = witness::plan(namespace, &folder, &config, host.name(), output).unwrap();
        assert!(!wanted.is_empty());
        let mut differing = String::new();
        let agreed = eventually(output, || {
            differing = difference(&found(output)?, &wanted);
            Ok(differing.is_empty().then_some(()))
        });
        assert!(agreed.is_ok(), "{output}:\n{differing}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_kernel_holds_what_plan_says_in_both_families_and_every_protocol() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    let sticky = ServiceSpec::new("sticky", 2)
        .port("http", trimtab_core::Protocol::Tcp, 443, 8443)
        .spec(&serde_json::json!({"sessionAffinity": "ClientIP"}))
        .metadata(&serde_json::json!({"annotations": {"trimtab.dev/scheduler": "lc"}}));
    let empty = ServiceSpec::new("empty", 3).every_protocol(53, 53);
    let mut objects = vec![web.service(), sticky.service(), empty.service()];
    objects.extend(web.slices(&[(1, 1), (1, 2), (2, 1)]));
    objects.extend(sticky.slices(&[(2, 1), (2, 2)]));
    cluster.apply_all(&objects).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    assert_agrees(&cluster, 1, &objects);
    // And after changes.
    objects.extend(web.slices(&[(1, 1), (2, 2)]));
    let fewer: Vec<_> =
        objects.iter().filter(|object| object["metadata"]["name"] != "empty").cloned().collect();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 2)])).unwrap();
    cluster.api.delete(trimtab_integration::api::Resource::Services, "default/empty").unwrap();
    assert_agrees(&cluster, 1, &latest(fewer));
    drop(proxy);
}

/// Of several states of one object the last.
fn latest(objects: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    let mut kept: Vec<serde_json::Value> = Vec::new();
    for object in objects {
        kept.retain(|other| {
            other["kind"] != object["kind"]
                || other["metadata"]["name"] != object["metadata"]["name"]
        });
        kept.push(object);
    }
    kept
}
