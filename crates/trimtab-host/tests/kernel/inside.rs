//! Clients inside the cluster and outside it see two virtual servers at one address.

use std::net::SocketAddr;

use trimtab_core::{Family, MarkRange, Protocol, SetElement, SetKind};
use trimtab_host::rules::{LocalDetector, RuleOptions};

use crate::cluster::Outcome::{self, From, Refused};
use crate::cluster::{Cluster, connect, connect_each};
use crate::namespace::Namespace;

const NODE_PORT: u16 = 30080;

fn from(ip: &str) -> Outcome {
    From(ip.parse().unwrap())
}

fn by_network(family: Family) -> LocalDetector {
    let net = if family == Family::V4 { "10.244.0.0/16" } else { "fd00:244::/48" };
    LocalDetector::Cidr(net.parse().unwrap())
}

/// A load-balancer VIP and a node port whose endpoints are seen from inside only: the virtual
/// servers of the addresses are empty.
fn two_views(family: Family, kind: &'static str, local_detector: LocalDetector) -> Cluster {
    let cluster =
        Cluster::new(family, kind, &RuleOptions { local_detector, ..RuleOptions::default() });
    let plan = cluster.plan;
    let mark = MarkRange::DEFAULT.nth(5);
    for (ip, port) in [(plan.vip, 80), (plan.node, NODE_PORT)] {
        cluster.virtual_server(ip, port, &[]);
        let ip = ip.parse().unwrap();
        cluster.add(SetKind::Inside, SetElement::IpPortMark(ip, Protocol::Tcp, port, mark));
    }
    let of_vip = SetElement::IpPort(plan.vip.parse().unwrap(), Protocol::Tcp, 80);
    cluster.add(SetKind::LoadBalancer, of_vip);
    cluster.add(SetKind::LoadBalancerLocal, of_vip);
    cluster.add(SetKind::NodePortTcp, SetElement::Port(NODE_PORT));
    cluster.add(SetKind::NodePortLocalTcp, SetElement::Port(NODE_PORT));
    cluster.bind(plan.vip);
    let server = SocketAddr::new(plan.pods[0].parse().unwrap(), 8080);
    let six = if family == Family::V6 { "-6" } else { "" };
    cluster.node.sh(&format!("ipvsadm -A -f {mark} {six} -s rr"));
    cluster.node.sh(&format!("ipvsadm -a -f {mark} {six} -r {server} -m"));
    cluster
}

fn ways(cluster: &Cluster) -> [(&'static str, u16); 2] {
    [(cluster.plan.vip, 80), (cluster.plan.node, NODE_PORT)]
}

fn gateway(family: Family) -> &'static str {
    if family == Family::V4 { "10.244.0.1" } else { "fd00:244::1" }
}

/// What pod, node and outsider see, by each way.
fn assert_views(cluster: &Cluster) {
    let Cluster { plan, node, pods, outside, .. } = cluster;
    for (ip, port) in ways(cluster) {
        let found = cluster.connect_each([&pods[1], node, outside], ip, port);
        let expected = [from(plan.pods[1]), from(gateway(plan.family)), Refused];
        assert_eq!(found, expected, "{ip} {port}");
    }
}

fn who_is_inside(family: Family, kind: &'static str) {
    let cluster = two_views(family, kind, by_network(family));
    let Cluster { plan, node, pods, .. } = &cluster;
    assert_views(&cluster);
    // The pod that answers asks itself.
    let [own, _] = plan.pods.map(|ip| ip.parse().unwrap());
    cluster.add(SetKind::LoopBack, SetElement::IpPortIp(own, Protocol::Tcp, 8080, own));
    for (ip, port) in ways(&cluster) {
        assert_eq!(cluster.connect(&pods[0], ip, port), from(gateway(family)));
    }
    // Marks of others on packets of pods, as Calico and Cilium set them, do not count.
    let six = if family == Family::V6 { "6" } else { "" };
    node.sh(&format!(
        "ip{six}tables-{kind} -t mangle -I PREROUTING -i veth1 -j MARK --set-xmark 0x40f00/0x40f00"
    ));
    assert_views(&cluster);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_and_the_node_are_inside_ipv4() {
    who_is_inside(Family::V4, "nft");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_and_the_node_are_inside_ipv6() {
    who_is_inside(Family::V6, "nft");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_and_the_node_are_inside_with_legacy_iptables() {
    who_is_inside(Family::V4, "legacy");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn pods_are_known_by_their_interfaces_also() {
    let prefix = LocalDetector::InterfacePrefix("veth".to_owned());
    assert_views(&two_views(Family::V4, "nft", prefix));
    // Nobody says who is a pod: only the node is inside.
    let cluster = two_views(Family::V4, "nft", LocalDetector::None);
    let Cluster { plan, node, pods, outside, .. } = &cluster;
    for (ip, port) in ways(&cluster) {
        let found = cluster.connect_each([&pods[1], node, outside], ip, port);
        assert_eq!(found, [Refused, from(gateway(plan.family)), Refused]);
    }
}

/// Calico's way: which pod a packet is from is noted on its way to IPVS, and looked up behind.
#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_mark_that_is_added_before_ipvs_is_there_again_behind_it() {
    for (family, kind) in [(Family::V4, "nft"), (Family::V6, "nft"), (Family::V4, "legacy")] {
        let cluster = two_views(family, kind, by_network(family));
        let Cluster { plan, node, .. } = &cluster;
        let six = if family == Family::V6 { "6" } else { "" };
        let iptables = format!("ip{six}tables-{kind}");
        let noted = "0xabc00000/0xfff00000";
        node.sh(&format!(
            "{iptables} -I INPUT -i veth1 -m conntrack --ctstate NEW -j MARK --set-xmark {noted}"
        ));
        node.sh(&format!("{iptables} -I OUTPUT -d {} -m mark --mark {noted}", plan.pods[0]));
        assert_views(&cluster);
        let counted = node.sh(&format!("{iptables} -vnxL OUTPUT"));
        let packets = counted.lines().nth(2).unwrap().trim().split(' ').next().unwrap();
        // One for each of the two ways.
        assert_eq!(packets, "2", "{kind} {family}: {counted}");
    }
}

/// A pod of another node has an address of the cluster's pods, and comes in where others do.
#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_pod_elsewhere_that_asks_at_this_nodes_address_is_outside() {
    for family in Family::ALL {
        let cluster = two_views(family, "nft", by_network(family));
        let Cluster { plan, node, outside, .. } = &cluster;
        let (pod, length, nodad) = match family {
            Family::V4 => ("10.244.7.7", 32, ""),
            Family::V6 => ("fd00:244:0:7::7", 128, "nodad"),
        };
        outside.sh(&format!("ip addr add {pod}/{length} dev eth0 {nodad}"));
        outside.sh(&format!("ip route replace {} dev eth0 src {pod}", plan.node));
        node.sh(&format!("ip route add {pod}/{length} via {} dev eth0", plan.outside));
        assert_eq!(connect(outside, plan.node, NODE_PORT), Refused, "{family}");
        // It would have been served.
        node.sh("ipvsadm -C");
        cluster.virtual_server(plan.node, NODE_PORT, &[0]);
        assert_eq!(connect(outside, plan.node, NODE_PORT), from(pod), "{family}");
    }
}

/// kube-proxy writes its chains anew when it takes the node over, and knows nothing of marks.
#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_our_rule_in_kube_services_nobody_is_inside() {
    for family in Family::ALL {
        let cluster = two_views(family, "nft", by_network(family));
        let Cluster { node, pods, outside, .. } = &cluster;
        assert_views(&cluster);
        let six = if family == Family::V6 { "6" } else { "" };
        node.sh(&format!("ip{six}tables-nft -t nat -F KUBE-SERVICES"));
        for (ip, port) in ways(&cluster) {
            assert_eq!(connect_each([&pods[1], node, outside], ip, port), [Refused; 3]);
        }
    }
}

/// IPVS takes whatever has the mark of a virtual server, so what has none must not get one.
#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn other_packets_keep_their_marks_and_are_not_masqueraded() {
    let cluster = two_views(Family::V4, "nft", by_network(Family::V4));
    let Cluster { plan, node, pods, outside, .. } = &cluster;
    let seen = |from: &Namespace, ip| {
        node.sh("iptables -t mangle -F POSTROUTING");
        node.sh("iptables -t mangle -A POSTROUTING -m mark --mark 0x7 -j ACCEPT");
        let outcome = connect(from, ip, 8080);
        let counted = node.sh("iptables -t mangle -vnxL POSTROUTING");
        (outcome, counted.lines().last().unwrap().trim().starts_with('0'))
    };
    node.sh("iptables -t mangle -A PREROUTING -j MARK --set-mark 0x7");
    node.sh("iptables -t mangle -A OUTPUT -j MARK --set-mark 0x7");
    assert_eq!(seen(outside, plan.pods[0]), (from(plan.outside), false));
    assert_eq!(seen(&pods[1], plan.pods[0]), (from(plan.pods[1]), false));
    assert!(matches!(seen(node, plan.pods[0]), (From(_), false)));
}
