//! What startup waits for, instead of exiting.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, Proxy, ServiceSpec, eventually, objects, witness};
use trimtab_integration::topology::{Layout, Server};

/// The lock that programs of the older kind of iptables share.
const LOCK: &str = "/run/xtables.lock";
/// The message while startup waits.
const WAITS: &str = "this node cannot be programmed yet: waiting";

struct Node {
    cluster: Cluster,
    web: ServiceSpec,
    _server: Server,
}

impl Node {
    fn new() -> Self {
        let cluster = Cluster::start(&Layout::default()).unwrap();
        let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
        cluster.publish(&web, &[(1, 1)]).unwrap();
        let server = cluster.topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
        Self { cluster, web, _server: server }
    }

    fn serves(&self, family: Family) -> bool {
        self.cluster.topology.pod(1, 2).ask(Protocol::Tcp, self.web.at(family, 80)).is_ok()
    }
}

/// Waits until the program says that it waits, and why; then it is alive, and not ready.
fn waits(proxy: &Proxy, why: &str) {
    eventually("word of what is waited for", || {
        let log = proxy.log();
        Ok(log.lines().any(|line| line.contains(WAITS) && line.contains(why)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}: {}", proxy.log()));
    assert_eq!(proxy.health("/readyz").unwrap().0, 503);
}

/// The same process has become ready.
fn becomes_ready(proxy: &mut Proxy) {
    proxy.wait_until_ready().unwrap();
    assert_eq!(proxy.log().matches("Trimtab starts").count(), 1, "{}", proxy.log());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_lock_that_somebody_holds_longer_than_iptables_waits_is_waited_for() {
    let node = Node::new();
    let lock = File::create(LOCK).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let config = "trimtab: {iptablesBackend: legacy}";
    let mut proxy = node.cluster.proxy(1).config(config).spawn().unwrap();
    // iptables-restore gives up after five seconds.
    waits(&proxy, "lock");
    assert!(!node.serves(Family::V4));
    drop(lock);
    becomes_ready(&mut proxy);
    assert!(node.serves(Family::V4) && node.serves(Family::V6));
}

/// A folder with all programs of the system except those whose name begins with this.
fn programs_without(folder: &Path, prefix: &str) {
    fs::create_dir_all(folder).unwrap();
    for place in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        for program in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = program.file_name();
            if !name.to_string_lossy().starts_with(prefix) {
                // The first of a name is the one that would be run.
                let _ = symlink(program.path(), folder.join(name));
            }
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_ip6tables_a_node_serves_ipv4_alone_and_says_so() {
    let node = Node::new();
    let programs = node.cluster.path("programs");
    programs_without(&programs, "ip6tables");
    let path = format!("PATH={}", programs.display());
    let proxy = node.cluster.proxy(1).under(&["env", &path]).start().unwrap();
    let log = proxy.log();
    assert!(log.contains("IPv6 is not served on this node"), "{log}");
    assert!(!log.contains(WAITS), "{log}");
    assert!(node.serves(Family::V4));
    let servers = witness::ipvsadm(node.cluster.topology.node(1).namespace()).unwrap();
    assert!(servers.iter().any(|line| line.contains("10.96.0.1:80")), "{servers:?}");
    assert!(!servers.iter().any(|line| line.contains('[')), "{servers:?}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_nodes_pod_networks_are_waited_for_where_the_rules_need_them() {
    let node = Node::new();
    let complete = objects::node(1, &json!({}));
    let mut bare: Value = complete.clone();
    bare["spec"] = json!({});
    node.cluster.apply(&bare).unwrap();
    let builder = node.cluster.proxy(1).without_cluster_cidr().config("detectLocalMode: NodeCIDR");
    let mut proxy = builder.spawn().unwrap();
    waits(&proxy, "no spec.podCIDRs");
    node.cluster.apply(&complete).unwrap();
    becomes_ready(&mut proxy);
    assert!(node.serves(Family::V4) && node.serves(Family::V6));
}
