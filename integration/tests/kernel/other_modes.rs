//! Nodes on which kube-proxy ran in another mode, or with the other kind of iptables.

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, Namespace};

const KINDS: [&str; 2] = ["nft", "legacy"];

/// What kube-proxy's iptables mode leaves, in part.
const IPTABLES_MODE: &str = "*mangle\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT\n\
    *filter\n:KUBE-FIREWALL - [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n\
    -A INPUT -m comment --comment \"kubernetes health check service ports\" -j KUBE-NODEPORTS\n\
    -A INPUT -j KUBE-FIREWALL\n-A INPUT -p udp -j ACCEPT\n\
    -A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" \
    -j KUBE-SERVICES\nCOMMIT\n\
    *nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-AAAA - [0:0]\n:KUBE-SEP-BBBB - [0:0]\n\
    -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
    -A KUBE-SERVICES -p tcp -m tcp --dport 9 -j KUBE-SVC-AAAA\n-A KUBE-SVC-AAAA -j KUBE-SEP-BBBB\n\
    -A KUBE-SEP-BBBB -j MARK --set-mark 1\nCOMMIT\n";

/// Chains of the kubelet and rules of other programs, which stay.
const FOREIGN: [&str; 3] =
    [":KUBE-FIREWALL", "-A INPUT -j KUBE-FIREWALL", "-A INPUT -p udp -j ACCEPT"];

fn saved(node: &Namespace, kind: &str) -> String {
    node.command::<&str>(&format!("iptables-{kind}-save"), []).unwrap()
}

fn leave(node: &Namespace, kind: &str) {
    let restore = format!("iptables-{kind}-restore");
    node.command_with_input(&restore, ["--noflush"], IPTABLES_MODE).unwrap();
}

/// No chain of kube-proxy's iptables mode is there, and all that is not its own.
fn assert_clean(saved: &str) {
    for gone in ["KUBE-SVC-", "KUBE-SEP-", "KUBE-PROXY-CANARY", "KUBE-NODEPORTS"] {
        assert!(!saved.contains(gone), "{gone}: {saved}");
    }
    for stays in FOREIGN {
        assert!(saved.contains(stays), "{stays}: {saved}");
    }
}

fn cluster() -> (Cluster, ServiceSpec) {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    (cluster, web)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn rules_go_to_the_kind_of_iptables_that_the_kubelet_uses_and_the_other_is_tidied() {
    for [kind, other] in [KINDS, [KINDS[1], KINDS[0]]] {
        let (cluster, web) = cluster();
        let node = cluster.topology.node(1).namespace();
        let iptables = format!("iptables-{kind}");
        node.command(&iptables, ["-t", "mangle", "-N", "KUBE-IPTABLES-HINT"]).unwrap();
        leave(node, kind);
        leave(node, other);
        let _server = cluster.topology.pod(1, 1).serve(&[Protocol::Tcp], 8080).unwrap();
        let proxy = cluster.proxy(1).start().unwrap();
        let chosen = format!("iptables-{kind}-restore");
        assert!(proxy.log().contains(&chosen), "{}", proxy.log());
        let ours = saved(node, kind);
        assert!(ours.contains("-j KUBE-LOAD-BALANCER") && ours.contains("KUBE-IPTABLES-HINT"));
        assert_clean(&ours);
        let theirs = saved(node, other);
        assert!(!theirs.contains("KUBE-SERVICES"), "{theirs}");
        assert_clean(&theirs);
        assert!(proxy.log().contains("that kube-proxy left"), "{}", proxy.log());
        let from = cluster.topology.pod(1, 2);
        assert_eq!(from.ask(Protocol::Tcp, web.at_v4(80)).unwrap().name, "node1-pod1");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_table_of_nftables_mode_goes_once_ipvs_serves_and_whoever_writes_it_again_is_told_of() {
    let (cluster, web) = cluster();
    let node = cluster.topology.node(1).namespace();
    let servers = [(1, 1), (2, 1)];
    let _servers = cluster.serve(&servers, &[Protocol::Tcp], 8080).unwrap();
    let (vip, elsewhere) = (web.at_v4(80).ip(), cluster.topology.pod(2, 1).address(Family::V4));
    // As kube-proxy would translate it, to an endpoint that no longer exists.
    let rule = format!("ip daddr {vip} tcp dport 80 dnat to {elsewhere}:8080");
    let table = format!(
        "table ip kube-proxy {{\n\
         chain pre {{ type nat hook prerouting priority -110; {rule}; }}\n\
         chain out {{ type nat hook output priority -110; {rule}; }}\n}}\n\
         table ip6 kube-proxy {{ }}\ntable ip mine {{ }}\ntable inet kube-proxy {{ }}\n"
    );
    let write = || node.command_with_input("nft", ["-f", "-"], &table).unwrap();
    let tables = || {
        let listed = node.command("nft", ["list", "tables"]).unwrap();
        let of_kube_proxy = |line: &&str| line.contains("kube-proxy") || line.contains("mine");
        listed.lines().filter(of_kube_proxy).map(str::to_owned).collect::<Vec<_>>()
    };
    write();
    let from = cluster.topology.pod(1, 2);
    assert_eq!(from.ask(Protocol::Tcp, web.at_v4(80)).unwrap().name, "node2-pod1");
    let mut open = from.connect(Protocol::Tcp, web.at_v4(80)).unwrap();
    assert_eq!(open.ask().unwrap().name, "node2-pod1");
    let proxy = cluster.proxy(1).config("ipvs: {syncPeriod: 2s}").start().unwrap();
    let others = ["table ip mine", "table inet kube-proxy"];
    assert_eq!(tables(), others);
    assert_eq!(from.ask(Protocol::Tcp, web.at_v4(80)).unwrap().name, "node1-pod1");
    // An already translated connection continues.
    assert_eq!(open.ask().unwrap().name, "node2-pod1");
    write();
    eventually("not ready", || Ok((proxy.health("/readyz")?.0 == 503).then_some(()))).unwrap();
    assert_eq!(proxy.count("trimtab_other_proxy", "").unwrap(), 1);
    assert!(proxy.log().contains("another service proxy runs on this node"), "{}", proxy.log());
    assert_eq!(tables(), others);
    eventually("ready", || Ok((proxy.health("/readyz")?.0 == 200).then_some(()))).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_cleanup_says_what_it_would_remove_and_then_removes_it_in_every_mode() {
    let (cluster, _web) = cluster();
    let node = cluster.topology.node(1).namespace();
    drop(cluster.proxy(1).start().unwrap());
    for kind in KINDS {
        leave(node, kind);
    }
    let nft = "table ip kube-proxy { }\ntable ip6 kube-proxy { }\ntable ip mine { }\n";
    node.command_with_input("nft", ["-f", "-"], nft).unwrap();
    node.command("ipset", ["create", "MINE", "hash:ip"]).unwrap();
    let state = || {
        let mut lines = witness::ipvsadm(node).unwrap();
        lines.extend(witness::ipset(node).unwrap());
        lines.extend(KINDS.iter().flat_map(|kind| {
            let text = saved(node, kind);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.split(" [").next().unwrap().to_owned()).collect::<Vec<_>>()
        }));
        lines.extend(node.command("nft", ["list", "tables"]).unwrap().lines().map(str::to_owned));
        lines
    };
    let before = state();
    let program = program().unwrap().display().to_string();
    let said = node.command(&program, ["cleanup", "--of", "kube-proxy", "--dry-run"]).unwrap();
    for object in [
        "ipset KUBE-CLUSTER-IP",
        "interface kube-ipvs0",
        "nftables table kube-proxy (IPv4)",
        "nftables table kube-proxy (IPv6)",
        "iptables nft IPv4 nat chain KUBE-SVC-AAAA",
        "iptables legacy IPv4 nat chain KUBE-SVC-AAAA",
        "iptables nft IPv4 nat chain KUBE-LOAD-BALANCER",
        "iptables nft IPv4 mangle chain TRIMTAB-INSIDE-IN",
    ] {
        assert!(said.lines().any(|line| line == object), "{object}: {said}");
    }
    assert!(said.contains("TCP") && said.lines().all(|line| !line.contains("MINE")), "{said}");
    assert_eq!(state(), before);
    node.command(&program, ["cleanup", "--of", "kube-proxy"]).unwrap();
    let after = state();
    let ours: Vec<_> = after
        .iter()
        .filter(|line| line.contains("KUBE-") || line.contains("TRIMTAB-"))
        .filter(|line| !line.contains("KUBE-FIREWALL"))
        .collect();
    assert_eq!(ours, Vec::<&String>::new());
    assert!(after.contains("table ip mine") && !after.contains("table ip kube-proxy"), "{after:?}");
    assert!(after.iter().any(|line| line.starts_with("create MINE")), "{after:?}");
    for kind in KINDS {
        assert_clean(&saved(node, kind));
    }
    let links = node.command("ip", ["-o", "link"]).unwrap();
    assert!(!links.contains("kube-ipvs0"), "{links}");
    // A second time there is nothing left.
    let said = node.command(&program, ["cleanup", "--of", "kube-proxy", "--dry-run"]).unwrap();
    assert_eq!(said, "");
}
