//! Sysctls that cannot be written, and sysctls that others change after startup.

use std::path::{Path, PathBuf};
use std::process::Command;

use trimtab_integration::cluster::{Cluster, Proxy, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

/// The proc file system a second time and read-only, as a container has it; gone when dropped.
struct ReadOnlyProc(PathBuf);

impl ReadOnlyProc {
    fn mount(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "proc", "-o", "ro", "proc"]).arg(&path).status();
        assert!(mounted.unwrap().success());
        Self(path)
    }

    fn sysctls(&self) -> String {
        format!("--sysctl-path={}", self.0.join("sys").display())
    }
}

impl Drop for ReadOnlyProc {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn cluster() -> Cluster {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap()
}

fn value(node: &Namespace, name: &str) -> String {
    let path = Path::new("/proc/sys").join(name);
    node.run(|| std::fs::read_to_string(&path).unwrap().trim().to_owned()).unwrap()
}

fn wait_for_audits(proxy: &Proxy, more: u64) {
    let seen = || proxy.count("trimtab_audits_total", "");
    let before = seen().unwrap();
    eventually("audits", || Ok((seen()? >= before + more).then_some(()))).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn sysctls_that_cannot_be_written_are_told_once_and_stop_nothing_else() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let read_only = ReadOnlyProc::mount(cluster.path("proc"));
    let name = "net/ipv4/vs/conntrack";
    node.command("ipvsadm", ["-Ln"]).unwrap();
    assert_eq!(value(node, name), "0");
    let proxy = cluster
        .proxy(1)
        .config("ipvs: {syncPeriod: 2s}")
        .argument(&read_only.sysctls())
        .start()
        .unwrap();
    let metric = format!("sysctl=\"{name}\"");
    assert_eq!(proxy.count("trimtab_wrong_sysctls", &metric).unwrap(), 1);
    // Repair goes on.
    let servers = witness::ipvsadm(node).unwrap();
    let sets = witness::ipset(node).unwrap();
    node.command("ipvsadm", ["-C"]).unwrap();
    node.command("iptables", ["-t", "nat", "-F", "KUBE-SERVICES"]).unwrap();
    eventually("repair of the virtual servers", || {
        Ok((witness::ipvsadm(node)? == servers).then_some(()))
    })
    .unwrap();
    eventually("repair of the rules", || {
        let rules = node.command("iptables", ["-t", "nat", "-S", "KUBE-SERVICES"])?;
        Ok((rules.lines().count() > 5).then_some(()))
    })
    .unwrap();
    assert_eq!(witness::ipset(node).unwrap(), sets);
    wait_for_audits(&proxy, 2);
    let told = proxy.log().matches(&format!("sysctl {name} is 0, must be 1")).count();
    assert_eq!(told, 1, "{}", proxy.log());
    assert!(proxy.log().contains("Read-only file system"), "{}", proxy.log());
    // Once another program has set the right value, there are no more warnings about it.
    node.set_sysctl(name, "1").unwrap();
    eventually("it is right", || {
        Ok((proxy.count("trimtab_wrong_sysctls", &metric)? == 0).then_some(()))
    })
    .unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn with_right_values_a_read_only_proc_sys_is_not_worth_a_word() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    drop(cluster.proxy(1).start().unwrap());
    let read_only = ReadOnlyProc::mount(cluster.path("proc"));
    let proxy = cluster.proxy(1).argument(&read_only.sysctls()).start().unwrap();
    assert_eq!(value(node, "net/ipv4/vs/conntrack"), "1");
    assert_eq!(proxy.count("trimtab_wrong_sysctls", "").unwrap(), 0);
    assert!(!proxy.log().contains("cannot be written"), "{}", proxy.log());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_an_operator_sets_of_connection_tracking_stays_and_the_rest_is_put_right() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let proxy = cluster.proxy(1).config("ipvs: {syncPeriod: 2s}").start().unwrap();
    let tracking = "net/netfilter/nf_conntrack_tcp_timeout_close_wait";
    assert_eq!(value(node, tracking), "3600");
    node.set_sysctl(tracking, "77").unwrap();
    node.set_sysctl("net/ipv4/vs/conntrack", "0").unwrap();
    wait_for_audits(&proxy, 2);
    assert_eq!(value(node, tracking), "77");
    assert_eq!(value(node, "net/ipv4/vs/conntrack"), "1");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_path_of_the_sysctls_that_is_none_is_named() {
    let cluster = cluster();
    let proxy = cluster.proxy(1).argument("--sysctl-path=/no/such/folder").spawn().unwrap();
    let (status, log) = proxy.wait().unwrap();
    assert!(!status.success());
    assert!(log.contains("trimtab.sysctlPath: /no/such/folder is not a directory"), "{log}");
}
