//! What the rules do to packets.

use ipnet::IpNet;
use trimtab_core::{Family, Protocol, SetElement, SetKind};
use trimtab_host::rules::{LocalDetector, RuleOptions};

use crate::cluster::Outcome::{From, Refused, Silence};
use crate::cluster::{Cluster, Outcome, Plan, connect, serve};
use crate::namespace::Namespace;

fn detecting_pods(plan_family: Family) -> RuleOptions {
    let net = if plan_family == Family::V4 { "10.244.0.0/24" } else { "fd00:244::/64" };
    let local_detector = LocalDetector::Cidr(net.parse().unwrap());
    RuleOptions { local_detector, ..RuleOptions::default() }
}

fn ip_port(ip: &str, port: u16) -> SetElement {
    SetElement::IpPort(ip.parse().unwrap(), Protocol::Tcp, port)
}

fn from(ip: &str) -> Outcome {
    From(ip.parse().unwrap())
}

/// A load-balancer VIP with a virtual server, and what each family's own rules need.
fn load_balancer(cluster: &Cluster, pods: &[usize]) {
    let vip = cluster.plan.vip;
    cluster.virtual_server(vip, 80, pods);
    cluster.add(SetKind::LoadBalancer, ip_port(vip, 80));
    cluster.bind(vip);
}

fn source_range(plan: &Plan, net: &str) -> SetElement {
    let net: IpNet = net.parse().unwrap();
    SetElement::IpPortNet(plan.vip.parse().unwrap(), Protocol::Tcp, 80, net)
}

fn lets_node_in(plan: &Plan) -> SetElement {
    let vip = plan.vip.parse().unwrap();
    SetElement::IpPortIp(vip, Protocol::Tcp, 80, vip)
}

fn source_ranges_keep_out(family: Family, kind: &'static str) {
    let cluster = Cluster::new(family, kind, &detecting_pods(family));
    let Cluster { plan, node, pods, outside, .. } = &cluster;
    load_balancer(&cluster, &[0]);
    // The outsider is not masqueraded, so that what the server sees tells who came through.
    cluster.add(SetKind::LoadBalancerLocal, ip_port(plan.vip, 80));
    let who = |from: &Namespace| cluster.connect(from, plan.vip, 80);
    assert_eq!(who(outside), from(plan.outside));
    assert!(matches!(who(node), From(_)));
    assert_eq!(who(&pods[1]), from(plan.pods[1]));

    // Restricted to a network of strangers: nobody gets in.
    let strangers = if family == Family::V4 { "192.0.2.0/24" } else { "2001:db8:1::/48" };
    cluster.add(SetKind::LoadBalancerSourceCidr, source_range(plan, strangers));
    cluster.add(SetKind::LoadBalancerFirewall, ip_port(plan.vip, 80));
    let each = || cluster.connect_each([outside, node, &pods[1]], plan.vip, 80);
    assert_eq!(each(), [Silence; 3]);

    // The outsider's range lets in the outsider and neither the node nor its pods.
    let outsider = format!("{}/{}", plan.outside, plan.family.host_prefix());
    cluster.add(SetKind::LoadBalancerSourceCidr, source_range(plan, &outsider));
    assert_eq!(each(), [from(plan.outside), Silence, Silence]);

    // The pods' range lets in the pods too. Their packets pass the node and do not have its mark.
    cluster.add(SetKind::LoadBalancerSourceCidr, source_range(plan, plan.pod_net));
    assert_eq!(each(), [from(plan.outside), Silence, from(plan.pods[1])]);

    // The node is let in by name, whichever of its addresses it uses.
    cluster.add(SetKind::LoadBalancerSourceIp, lets_node_in(plan));
    assert!(matches!(who(node), From(_)));
    cluster.delete(SetKind::LoadBalancerSourceIp, lets_node_in(plan));
    assert_eq!(who(node), Silence);

    // A real server on the node itself makes no difference.
    serve(node, 8080);
    let (vip, server) = (format_server(plan.vip, 80), format_server(plan.node, 8080));
    node.sh("ipvsadm -C");
    node.sh(&format!("ipvsadm -A -t {vip} -s rr"));
    node.sh(&format!("ipvsadm -a -t {vip} -r {server} -m"));
    assert_eq!(who(node), Silence);
    assert_eq!(who(outside), from(plan.outside));
    cluster.add(SetKind::LoadBalancerSourceIp, lets_node_in(plan));
    assert!(matches!(who(node), From(_)));

    // Other ports and unrestricted VIPs are open to the node all along.
    cluster.delete(SetKind::LoadBalancerSourceIp, lets_node_in(plan));
    cluster.delete(SetKind::LoadBalancerFirewall, ip_port(plan.vip, 80));
    assert!(matches!(who(node), From(_)));
}

fn format_server(ip: &str, port: u16) -> String {
    std::net::SocketAddr::new(ip.parse().unwrap(), port).to_string()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn source_ranges_keep_out_whom_they_do_not_name_ipv4() {
    source_ranges_keep_out(Family::V4, "nft");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn source_ranges_keep_out_whom_they_do_not_name_ipv6() {
    source_ranges_keep_out(Family::V6, "nft");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn source_ranges_keep_out_whom_they_do_not_name_with_legacy_iptables() {
    source_ranges_keep_out(Family::V4, "legacy");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vip_bound_by_a_route_serves_and_is_restricted_like_one_bound_by_an_address() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &RuleOptions::default());
        let Cluster { plan, node, pods, outside, .. } = &cluster;
        cluster.virtual_server(plan.vip, 80, &[0]);
        cluster.add(SetKind::LoadBalancer, ip_port(plan.vip, 80));
        cluster.add(SetKind::LoadBalancerLocal, ip_port(plan.vip, 80));
        cluster.route(plan.vip);
        let who = |from: &Namespace| cluster.connect(from, plan.vip, 80);
        assert_eq!(who(outside), from(plan.outside));
        assert_eq!(who(&pods[1]), from(plan.pods[1]));
        assert_eq!(who(node), from(plan.node));
        assert_eq!(cluster.connect(outside, plan.vip, 22), Refused);
        cluster.add(SetKind::LoadBalancerSourceCidr, source_range(plan, plan.pod_net));
        cluster.add(SetKind::LoadBalancerFirewall, ip_port(plan.vip, 80));
        let found = cluster.connect_each([outside, node, &pods[1]], plan.vip, 80);
        assert_eq!(found, [Silence, Silence, from(plan.pods[1])]);
        cluster.add(SetKind::LoadBalancerSourceIp, lets_node_in(plan));
        assert_eq!(who(node), from(plan.node));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn cluster_ips_are_masqueraded_for_all_but_pods() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &detecting_pods(family));
        let Cluster { plan, node, pods, outside, .. } = &cluster;
        cluster.virtual_server(plan.vip, 80, &[0]);
        cluster.add(SetKind::ClusterIp, ip_port(plan.vip, 80));
        cluster.bind(plan.vip);
        assert_eq!(cluster.connect(&pods[1], plan.vip, 80), from(plan.pods[1]));
        let gateway = if family == Family::V4 { "10.244.0.1" } else { "fd00:244::1" };
        assert_eq!(cluster.connect(outside, plan.vip, 80), from(gateway));
        assert_eq!(cluster.connect(node, plan.vip, 80), from(gateway));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_a_detector_the_node_is_masqueraded_and_others_are_not() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &RuleOptions::default());
        let Cluster { plan, node, pods, outside, .. } = &cluster;
        cluster.virtual_server(plan.vip, 80, &[0]);
        cluster.add(SetKind::ClusterIp, ip_port(plan.vip, 80));
        cluster.bind(plan.vip);
        assert_eq!(cluster.connect(&pods[1], plan.vip, 80), from(plan.pods[1]));
        assert_eq!(cluster.connect(outside, plan.vip, 80), from(plan.outside));
        let gateway = if family == Family::V4 { "10.244.0.1" } else { "fd00:244::1" };
        assert_eq!(cluster.connect(node, plan.vip, 80), from(gateway));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_pod_reaches_itself_only_with_its_loop_back_element() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &detecting_pods(family));
        let Cluster { plan, pods, .. } = &cluster;
        cluster.virtual_server(plan.vip, 80, &[0]);
        cluster.add(SetKind::ClusterIp, ip_port(plan.vip, 80));
        cluster.bind(plan.vip);
        assert_eq!(cluster.connect(&pods[0], plan.vip, 80), Silence);
        let pod = plan.pods[0].parse().unwrap();
        cluster.add(SetKind::LoopBack, SetElement::IpPortIp(pod, Protocol::Tcp, 8080, pod));
        let gateway = if family == Family::V4 { "10.244.0.1" } else { "fd00:244::1" };
        assert_eq!(cluster.connect(&pods[0], plan.vip, 80), from(gateway));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vips_other_ports_are_refused_though_a_daemon_of_the_node_listens() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &detecting_pods(family));
        let Cluster { plan, node, pods, outside, .. } = &cluster;
        serve(node, 22);
        load_balancer(&cluster, &[0]);
        for client in [outside, &pods[1]] {
            assert_eq!(cluster.connect(client, plan.vip, 22), Refused);
            assert!(matches!(cluster.connect(client, plan.vip, 80), From(_)));
        }
        assert_eq!(cluster.connect(outside, plan.node, 22), from(plan.outside));
        // The health-check port is let through to the node on a VIP too.
        cluster.add(SetKind::HealthCheckNodePort, SetElement::Port(22));
        assert_eq!(cluster.connect(outside, plan.vip, 22), from(plan.outside));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn traffic_policy_decides_on_masquerading_of_what_comes_from_outside() {
    for family in Family::ALL {
        let cluster = Cluster::new(family, "nft", &detecting_pods(family));
        let Cluster { plan, outside, .. } = &cluster;
        let gateway = if family == Family::V4 { "10.244.0.1" } else { "fd00:244::1" };
        // Load-balancer VIP.
        load_balancer(&cluster, &[0]);
        assert_eq!(cluster.connect(outside, plan.vip, 80), from(gateway));
        cluster.add(SetKind::LoadBalancerLocal, ip_port(plan.vip, 80));
        assert_eq!(cluster.connect(outside, plan.vip, 80), from(plan.outside));
        // Node port.
        cluster.virtual_server(plan.node, 30080, &[0]);
        cluster.add(SetKind::NodePortTcp, SetElement::Port(30080));
        assert_eq!(cluster.connect(outside, plan.node, 30080), from(gateway));
        cluster.add(SetKind::NodePortLocalTcp, SetElement::Port(30080));
        assert_eq!(cluster.connect(outside, plan.node, 30080), from(plan.outside));
        // External IP.
        let external = if family == Family::V4 { "203.0.113.9" } else { "2001:db8::9" };
        cluster.virtual_server(external, 80, &[0]);
        cluster.bind(external);
        cluster.add(SetKind::ExternalIp, ip_port(external, 80));
        assert_eq!(cluster.connect(outside, external, 80), from(gateway));
        cluster.delete(SetKind::ExternalIp, ip_port(external, 80));
        cluster.add(SetKind::ExternalIpLocal, ip_port(external, 80));
        assert_eq!(cluster.connect(outside, external, 80), from(plan.outside));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn health_check_ports_pass_an_input_chain_that_drops() {
    let cluster = Cluster::new(Family::V4, "nft", &RuleOptions::default());
    let Cluster { plan, node, outside, .. } = &cluster;
    serve(node, 32000);
    node.sh("iptables -P INPUT DROP");
    assert_eq!(connect(outside, plan.node, 32000), Silence);
    cluster.add(SetKind::HealthCheckNodePort, SetElement::Port(32000));
    assert_eq!(connect(outside, plan.node, 32000), from(plan.outside));
}
