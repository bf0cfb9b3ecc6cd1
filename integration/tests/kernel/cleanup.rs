//! `trimtab cleanup`: what a real kube-proxy left, and what Trimtab leaves.

use std::process::Command;

use trimtab_core::Family;
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::witness::{self, Lines};
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

use crate::takeover::{FOREIGN_SERVERS, FOREIGN_SET, Recorded};

/// Chains of the kubelet, which stay.
const KUBELET: [&str; 4] =
    ["KUBE-FIREWALL", "KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-MARK-DROP"];

/// Runs `trimtab cleanup`; what it prints, and its log.
fn cleanup(node: &Namespace, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(program().unwrap());
    command.arg("cleanup").args(arguments);
    let output = node.run(|| command.output()).unwrap().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    (String::from_utf8(output.stdout).unwrap(), log)
}

fn rules(node: &Namespace) -> Vec<String> {
    Family::ALL.into_iter().flat_map(|family| witness::rules(node, family).unwrap()).collect()
}

/// Everything that a cleanup may remove.
fn state(node: &Namespace) -> (Lines, Lines, Vec<String>, String) {
    let addresses = node.command("ip", ["-j", "address"]).unwrap();
    (witness::ipvsadm(node).unwrap(), witness::ipset(node).unwrap(), rules(node), addresses)
}

fn lines(text: &str) -> Lines {
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_a_real_kube_proxy_left_is_listed_and_then_removed_and_nothing_else() {
    let recorded = Recorded::lay();
    let node = recorded.node();
    let before = state(node);
    let foreign = lines(FOREIGN_SERVERS);
    let (listed, _) = cleanup(node, &["--of", "kube-proxy", "--dry-run"]);
    assert_eq!(state(node), before, "a dry run changes nothing");
    // One line for each virtual server, each address and each set.
    let count = |start: &str| listed.lines().filter(|line| line.starts_with(start)).count();
    let servers = before.0.difference(&foreign).filter(|line| line.starts_with("-A")).count();
    assert_eq!(count("delete virtual server"), servers, "{listed}");
    let sets = before.1.iter().filter(|line| line.starts_with("create KUBE-")).count();
    assert_eq!(count("ipset "), sets, "{listed}");
    assert_eq!(count("unbind "), witness::addresses(node).unwrap().len(), "{listed}");
    assert_eq!(count("interface kube-ipvs0"), 1, "{listed}");

    let (_, log) = cleanup(node, &["--of", "kube-proxy"]);
    for line in listed.lines() {
        assert!(log.lines().any(|logged| logged.ends_with(line)), "{line} was not removed: {log}");
    }
    let removed = |line: &&str| !line.contains("the kind of iptables is chosen");
    assert_eq!(log.lines().filter(removed).count(), listed.lines().count(), "{log}");
    assert_eq!(witness::ipvsadm(node).unwrap(), foreign);
    let sets = lines(&FOREIGN_SET.replace(" hashsize 1024", ""));
    assert_eq!(witness::ipset(node).unwrap(), sets);
    let of_kubelet = |rule: &String| KUBELET.iter().any(|chain| rule.contains(chain));
    let left: Vec<String> = rules(node).into_iter().filter(|rule| !of_kubelet(rule)).collect();
    assert_eq!(left, [""; 0]);
    assert!(!node.command("ip", ["-o", "link"]).unwrap().contains("kube-ipvs0"));
    assert_eq!(cleanup(node, &["--of", "kube-proxy", "--dry-run"]).0, "");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn vips_that_are_bound_by_routes_go_too() {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap();
    let node = cluster.topology.node(1).namespace();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let routes = || {
        let shown = ["-4", "-6"].map(|family| {
            let arguments = [family, "route", "show", "table", "local", "proto", "116"];
            node.command("ip", arguments).unwrap()
        });
        shown.concat().lines().count()
    };
    drop(cluster.proxy(1).config("trimtab: {vipBinding: route}").start().unwrap());
    assert_eq!(routes(), 2);
    let (listed, _) = cleanup(node, &["--dry-run"]);
    for family in Family::ALL {
        let line = format!("route of {}", web.vip(family));
        assert!(listed.lines().any(|one| one == line), "{line}: {listed}");
    }
    assert_eq!(routes(), 2, "a dry run changes nothing");
    cleanup(node, &[]);
    assert_eq!(routes(), 0);
    assert_eq!(witness::ipvsadm(node).unwrap(), Lines::new());
    assert_eq!(witness::ipset(node).unwrap(), Lines::new());
}
