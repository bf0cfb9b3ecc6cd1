//! Objects from a folder of manifests.

use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, NodeLayout};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_folder_of_manifests_is_followed_and_a_broken_one_changes_nothing() {
    let layout = Layout { nodes: vec![NodeLayout::default()], clients: 0 };
    let cluster = Cluster::start(&layout).unwrap();
    let folder = cluster.path("manifests");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, spec: &ServiceSpec| {
        let documents = std::iter::once(spec.service()).chain(spec.slices(&[(1, 1)]));
        let text: Vec<String> = documents.map(|document| document.to_string()).collect();
        let text = text.join("\n");
        std::fs::write(folder.join(name), text).unwrap();
    };
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    let shop = ServiceSpec::new("shop", 2).port("http", Protocol::Tcp, 80, 8080);
    write("web.json", &web);
    let proxy = cluster.proxy(1).manifests(&folder).start().unwrap();
    let namespace = cluster.topology.node(1).namespace().clone();
    let until = |vips: &[&str]| {
        let wanted: witness::Lines = vips.iter().map(|vip| (*vip).to_owned()).collect();
        eventually(format!("{vips:?}"), || {
            Ok((witness::addresses(&namespace)? == wanted).then_some(()))
        })
        .unwrap();
    };
    until(&["10.96.0.1", "fd96::1"]);
    write("shop.json", &shop);
    until(&["10.96.0.1", "10.96.0.2", "fd96::1", "fd96::2"]);
    std::fs::write(folder.join("broken.yaml"), "kind: [").unwrap();
    std::fs::remove_file(folder.join("web.json")).unwrap();
    eventually("a complaint", || Ok(proxy.log().contains("broken.yaml").then_some(()))).unwrap();
    until(&["10.96.0.1", "10.96.0.2", "fd96::1", "fd96::2"]);
    std::fs::remove_file(folder.join("broken.yaml")).unwrap();
    until(&["10.96.0.2", "fd96::2"]);
}
