//! The program with no more capabilities than it needs.

use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ProxyBuilder, ServiceSpec, witness};
use trimtab_integration::topology::{Layout, NodeLayout};

fn cluster() -> Cluster {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap()
}

/// With these capabilities, and no way to have more, as a container has them.
fn with(builder: ProxyBuilder, capabilities: &str) -> ProxyBuilder {
    let bounds = format!("--bounding-set=-all{capabilities}");
    builder.under(&["setpriv", &bounds, "--no-new-privs"])
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn after_init_only_net_admin_and_net_raw_are_enough() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let config = cluster.proxy(1).write_config().unwrap().display().to_string();
    let program = program().unwrap().display().to_string();
    node.command(&program, ["run", "--init-only", "--config", &config]).unwrap();
    let proxy = with(cluster.proxy(1), ",+net_admin,+net_raw").start().unwrap();
    assert_eq!(witness::ipvsadm(node).unwrap().len(), 12);
    assert_eq!(proxy.count("trimtab_wrong_sysctls", "").unwrap(), 0);
    assert!(!proxy.log().contains("WARN"), "{}", proxy.log());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn one_capability_fewer_is_named_with_what_it_is_for() {
    let cluster = cluster();
    for (capabilities, missing, why) in
        [(",+net_admin", "CAP_NET_RAW", "raw socket"), (",+net_raw", "CAP_NET_ADMIN", "IPVS")]
    {
        let proxy = with(cluster.proxy(1), capabilities).spawn().unwrap();
        let (status, log) = proxy.wait().unwrap();
        assert!(!status.success(), "{capabilities}");
        assert!(log.contains(&format!("lacks {missing}")) && log.contains(why), "{log}");
    }
}
