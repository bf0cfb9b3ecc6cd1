//! Changes by other programs in the kernel, and how Trimtab notices them. If the kernel sends a
//! notification, the period of comparisons is ten hours here, so that only the notification can
//! cause the repair.

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::witness::State;
use trimtab_integration::cluster::{Cluster, Proxy, ServiceSpec, eventually};
use trimtab_integration::topology::{Layout, Namespace, Server};

/// A node with the program, a Service of all protocols, and a pod that answers.
struct Node {
    proxy: Proxy,
    web: ServiceSpec,
    _server: Server,
    cluster: Cluster,
}

impl Node {
    fn start(config: &str) -> Self {
        let cluster = Cluster::start(&Layout::default()).unwrap();
        let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
        cluster.publish(&web, &[(1, 1)]).unwrap();
        let server = cluster.topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
        let proxy = cluster.proxy(1).config(config).start().unwrap();
        let node = Self { proxy, web, _server: server, cluster };
        node.assert_serves();
        node
    }

    fn namespace(&self) -> &Namespace {
        self.cluster.topology.node(1).namespace()
    }

    fn sh(&self, command: &str) -> String {
        self.namespace().command("sh", ["-ec", command]).unwrap()
    }

    fn state(&self) -> State {
        State::of_kernel(self.namespace()).unwrap()
    }

    fn assert_serves(&self) {
        let from = self.cluster.topology.pod(1, 2);
        for family in Family::ALL {
            let answer = from.ask(Protocol::Tcp, self.web.at(family, 80));
            assert!(answer.is_ok(), "{family}: {answer:?}\n{}", self.proxy.log());
        }
    }

    /// Changes the kernel's state, and waits until it is restored.
    fn repairs(&self, command: &str) {
        let before = self.state();
        self.sh(command);
        eventually(format!("repair after {command}"), || {
            // While the interface is gone, it cannot be asked.
            Ok(State::of_kernel(self.namespace()).ok().filter(|state| *state == before))
        })
        .unwrap_or_else(|error| {
            let differs = State::of_kernel(self.namespace()).map(|now| now.difference(&before));
            panic!("{error}: {differs:?}\n{}", self.proxy.log())
        });
        self.assert_serves();
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn vips_and_their_interface_are_put_right_when_the_kernel_tells() {
    let node = Node::start("ipvs: {syncPeriod: 10h}");
    let [four, six] = Family::ALL.map(|family| node.web.vip(family));
    node.repairs(&format!("ip addr del {four}/32 dev kube-ipvs0"));
    node.repairs(&format!("ip addr del {six}/128 dev kube-ipvs0"));
    // It says that it cannot: what it deletes is back at once.
    node.repairs("ip addr flush dev kube-ipvs0 || true");
    node.repairs("ip link del kube-ipvs0");
    // The new interface is watched as the first one was.
    node.repairs(&format!("ip addr del {four}/32 dev kube-ipvs0"));
    // Both the other program and Trimtab recreate it: it fails for the second one.
    node.repairs("ip link del kube-ipvs0; ip link add kube-ipvs0 type dummy || true");
    node.repairs("ip link set kube-ipvs0 name other0");
    assert_eq!(node.sh("ip -br link show type dummy").lines().count(), 1, "it got its name back");
    // It is never up. Set down, it loses its IPv6 addresses.
    node.repairs("ip link set kube-ipvs0 addrgenmode none up && ip link set kube-ipvs0 down");
    assert_eq!(node.proxy.count("trimtab_audits_total", "").unwrap(), 0);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn rules_that_somebody_deletes_in_nftables_are_put_right_when_the_kernel_tells() {
    let node = Node::start("ipvs: {syncPeriod: 10h}\ntrimtab: {iptablesBackend: nft}");
    node.repairs("iptables-nft -t nat -F");
    node.repairs("ip6tables-nft -t nat -F KUBE-SERVICES");
    node.repairs("nft flush ruleset");
    // With no rule that matches them, sets can be destroyed, too.
    node.repairs("nft flush ruleset && ipset destroy");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vips_route_is_put_right_when_the_kernel_tells() {
    let node = Node::start("ipvs: {syncPeriod: 10h}\ntrimtab: {vipBinding: route}");
    for (flag, family) in [("-4", Family::V4), ("-6", Family::V6)] {
        let route = || node.sh(&format!("ip {flag} route show table local proto 116"));
        let before = route();
        assert!(before.contains(&node.web.vip(family).to_string()), "{before}");
        let vip = node.web.vip(family);
        node.sh(&format!("ip {flag} route del local {vip} dev lo table local proto 116"));
        eventually("the route", || Ok((route() == before).then_some(()))).unwrap();
    }
    node.assert_serves();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vips_route_gets_its_source_back_within_a_period() {
    let node = Node::start("ipvs: {syncPeriod: 2s}\ntrimtab: {vipBinding: route}");
    for (flag, family, other) in [("-4", Family::V4, "127.0.0.1"), ("-6", Family::V6, "::1")] {
        let route = || node.sh(&format!("ip {flag} route show table local proto 116"));
        let before = route();
        assert!(before.contains(" src "), "{before}");
        let vip = node.web.vip(family);
        let replace = "replace local";
        node.sh(&format!(
            "ip {flag} route {replace} {vip} dev lo table local proto 116 metric 1024 src {other}"
        ));
        assert_ne!(route(), before);
        eventually("the route's source", || Ok((route() == before).then_some(()))).unwrap();
    }
    node.assert_serves();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_the_kernel_tells_nobody_is_put_right_within_a_period() {
    let node = Node::start("ipvs: {syncPeriod: 2s}\ntrimtab: {iptablesBackend: legacy}");
    node.repairs("ipset flush");
    node.repairs("ipvsadm -C");
    node.repairs("ipvsadm -D -t 10.96.0.1:80");
    let real_server = node.cluster.topology.pod(1, 1).address(Family::V4);
    node.repairs(&format!("ipvsadm -e -t 10.96.0.1:80 -r {real_server}:8080 -m -w 7"));
    node.repairs(&format!("ipvsadm -d -t 10.96.0.1:80 -r {real_server}:8080"));
    let rules = || node.sh("iptables-legacy-save -t nat | grep -v -e ^# -e ^: | sort");
    let before = rules();
    assert!(before.contains("KUBE-SERVICES"), "{before}");
    node.sh("iptables-legacy -t nat -F");
    eventually("the rules", || Ok((rules() == before).then_some(()))).unwrap();
    node.sh("echo 0 > /proc/sys/net/ipv4/vs/conntrack");
    let conntrack = || node.sh("cat /proc/sys/net/ipv4/vs/conntrack");
    eventually("the sysctl", || Ok((conntrack().trim() == "1").then_some(()))).unwrap();
}
