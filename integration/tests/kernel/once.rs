//! kube-proxy's `--cleanup` and `--init-only`.

use serde_json::json;
use trimtab_core::Family;
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::witness;
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

const FOREIGN_SERVERS: &str = "-A -t 198.51.100.9:80 -s wlc\n\
                               -a -t 198.51.100.9:80 -r 198.51.100.10:80 -m -w 3\n";

fn cluster() -> Cluster {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap()
}

/// Everything in the packet filter, without remarks and counters.
fn packet_filter(node: &Namespace) -> Vec<String> {
    let mut all = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let text = node.command::<&str>(program, []).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        all.extend(lines.map(|line| line.split(" [").next().unwrap().to_owned()));
    }
    all
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_cleanup_removes_all_of_ours_in_both_families_and_nothing_of_others() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    node.command_with_input("ipvsadm", ["-R"], FOREIGN_SERVERS).unwrap();
    node.command("ipset", ["create", "MINE", "hash:ip"]).unwrap();
    for program in ["iptables", "ip6tables"] {
        node.command(program, ["-A", "INPUT", "-p", "udp", "-j", "ACCEPT"]).unwrap();
        for table in ["nat", "mangle"] {
            let rule = ["-t", table, "-A", "POSTROUTING", "-p", "udp", "-j", "ACCEPT"];
            node.command(program, rule).unwrap();
        }
    }
    let (filter, sets) = (packet_filter(node), witness::ipset(node).unwrap());
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080).spec(&json!({
        "type": "LoadBalancer",
        "externalIPs": ["198.51.100.1", "2001:db8::1"],
    }));
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1)])).unwrap();
    let builder = cluster.proxy(1);
    let proxy = builder.start().unwrap();
    assert!(witness::ipvsadm(node).unwrap().len() > 12);
    drop(proxy);

    let config = builder.write_config().unwrap().display().to_string();
    let program = program().unwrap().display().to_string();
    for _ in 0..2 {
        node.command(&program, ["run", "--cleanup", "--config", &config]).unwrap();
        let foreign: witness::Lines = FOREIGN_SERVERS.lines().map(str::to_owned).collect();
        assert_eq!(witness::ipvsadm(node).unwrap(), foreign);
        assert_eq!(witness::ipset(node).unwrap(), sets);
        assert_eq!(packet_filter(node), filter);
        let links = node.command("ip", ["-o", "link"]).unwrap();
        assert!(!links.contains("kube-ipvs0"), "{links}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn init_only_sets_sysctls_and_timeouts_and_programs_nothing() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let config = cluster
        .proxy(1)
        .config("ipvs: {strictARP: true, tcpTimeout: 77s}\ntrimtab: {estimation: {enabled: false}}")
        .write_config()
        .unwrap()
        .display()
        .to_string();
    let program = program().unwrap().display().to_string();
    node.command(&program, ["run", "--init-only", "--config", &config]).unwrap();
    let read = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/{name}");
        node.run(|| std::fs::read_to_string(&path).unwrap().trim().to_owned()).unwrap()
    };
    for (name, value) in [
        ("vs/conntrack", "1"),
        ("vs/expire_nodest_conn", "1"),
        ("vs/expire_quiescent_template", "1"),
        ("vs/run_estimation", "0"),
        ("ip_forward", "1"),
        ("conf/all/arp_ignore", "1"),
        ("conf/all/arp_announce", "2"),
    ] {
        assert_eq!(read(name), value, "{name}");
    }
    let timeouts = node.command("ipvsadm", ["-Ln", "--timeout"]).unwrap();
    assert!(timeouts.contains("77 "), "{timeouts}");
    assert_eq!(witness::ipset(node).unwrap(), witness::Lines::new());
    assert_eq!(witness::rules(node, Family::V4).unwrap(), Vec::<String>::new());
    let links = node.command("ip", ["-o", "link"]).unwrap();
    assert!(!links.contains("kube-ipvs0"), "{links}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_changed_configuration_ends_the_program_and_leaves_the_kernel_as_it_is() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.apply(&web.service()).unwrap();
    let builder = cluster.proxy(1);
    let proxy = builder.start().unwrap();
    let servers = witness::ipvsadm(node).unwrap();
    builder.write_config().unwrap();
    builder.config("ipvs: {scheduler: wlc}").write_config().unwrap();
    let (status, log) = proxy.wait().unwrap();
    assert!(!status.success() && log.contains("changed"), "{status}: {log}");
    assert_eq!(witness::ipvsadm(node).unwrap(), servers);
}
