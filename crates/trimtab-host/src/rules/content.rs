//! The rules themselves.
//!
//! Differences from kube-proxy's, all on purpose:
//!
//! * Rules are there whether or not their set has elements.
//! * KUBE-IPVS-OUT-FILTER has one rule instead of one a VIP. What the node itself sends to a VIP
//!   passes IPVS in LOCAL_OUT (priority -98), before the filter table can see the VIP. So the nat
//!   table (-100) marks the first packet of a connection to a VIP that does not let the node in, and
//!   the filter table drops what has the mark. A dropped packet leaves no connection behind; each
//!   further attempt is again a first packet. Connections made before the VIP was restricted go on.
//! * What clients inside see otherwise has chains of its own: see `inside.rs`.
//! * External IPs lack the rule with `physdev`. It accepts what the rule behind it accepts too, as
//!   a VIP served here is local, and loading it would make the kernel load br_netfilter, which
//!   sends all bridged packets through the packet filter, on nodes that have no external IP at all.

use trimtab_core::{Family, SetKind};

use super::inside;
use super::options::{LocalDetector, RuleOptions};
use super::table::{Sets, Table, chain, jump, says};

/// The tables in the order in which they are restored: masquerading before letting anything pass,
/// and a way for the gate bit to go before anything gets it.
pub(super) fn tables(options: &RuleOptions, family: Family) -> [Table; 3] {
    let sets = Sets(family);
    [inside::mangle(options, &sets), nat(options, family, &sets), filter(options, family, &sets)]
}

fn nat(options: &RuleOptions, family: Family, sets: &Sets) -> Table {
    let (masquerade, drop) = (options.masquerade_mark(), options.drop_mark());
    let random = if options.random_fully { " --random-fully" } else { "" };
    Table {
        name: "nat",
        jumps: vec![
            jump("PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
            jump("OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
            jump("POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
        ],
        chains: vec![
            chain(
                "KUBE-LOAD-BALANCER",
                vec![
                    format!(
                        "{} {} -j RETURN",
                        says("load-balancer VIPs of local traffic policy keep the client address"),
                        sets.has(SetKind::LoadBalancerLocal, "dst,dst"),
                    ),
                    "-j KUBE-MARK-MASQ".to_owned(),
                ],
            ),
            // As the kubelet of Kubernetes before 1.28 writes it in its own copy of the chain.
            chain(
                "KUBE-MARK-MASQ",
                vec![format!("-j MARK --set-xmark {masquerade:#x}/{masquerade:#x}")],
            ),
            chain("KUBE-NODE-PORT", node_ports(sets)),
            chain(
                "KUBE-POSTROUTING",
                inside::after(options)
                    .into_iter()
                    .chain([
                        format!(
                            "{} {} -j MASQUERADE",
                            says("a pod reaches itself through its service"),
                            sets.has(SetKind::LoopBack, "dst,dst,src"),
                        ),
                        // The rest as that kubelet writes it, or it would add its own rules behind.
                        format!("-m mark ! --mark {masquerade:#x}/{masquerade:#x} -j RETURN"),
                        format!("-j MARK --set-xmark {masquerade:#x}/0x0"),
                        format!(
                            "{} -j MASQUERADE{random}",
                            says("kubernetes service traffic requiring SNAT")
                        ),
                    ])
                    .collect(),
            ),
            chain(
                "KUBE-SERVICES",
                vec![
                    format!(
                        "-s {} -j RETURN",
                        match family {
                            Family::V4 => "127.0.0.0/8",
                            Family::V6 => "::1/128",
                        }
                    ),
                    format!(
                        "{} -m addrtype --src-type LOCAL {} {} -j MARK --set-xmark \
                         {drop:#x}/{drop:#x}",
                        says("source ranges keep this node out"),
                        sets.has(SetKind::LoadBalancerFirewall, "dst,dst"),
                        // The element is (VIP, port, VIP); the packet's source may be any of ours.
                        sets.has(SetKind::LoadBalancerSourceIp, "dst,dst,dst").replacen(
                            "--match-set",
                            "! --match-set",
                            1
                        ),
                    ),
                    inside::rule(sets),
                    format!(
                        "{} {} -j KUBE-LOAD-BALANCER",
                        says("load-balancer VIPs"),
                        sets.has(SetKind::LoadBalancer, "dst,dst"),
                    ),
                    masquerade_cluster_ips(options, sets),
                    format!(
                        "{} {} -j KUBE-MARK-MASQ",
                        says("external IPs, masqueraded"),
                        sets.has(SetKind::ExternalIp, "dst,dst"),
                    ),
                    format!(
                        "{} {} -m addrtype --dst-type LOCAL -j ACCEPT",
                        says("external IPs"),
                        sets.has(SetKind::ExternalIp, "dst,dst"),
                    ),
                    format!(
                        "{} {} -m addrtype --dst-type LOCAL -j ACCEPT",
                        says("external IPs of local traffic policy"),
                        sets.has(SetKind::ExternalIpLocal, "dst,dst"),
                    ),
                    "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT".to_owned(),
                    format!("{} -j ACCEPT", sets.has(SetKind::ClusterIp, "dst,dst")),
                    format!("{} -j ACCEPT", sets.has(SetKind::LoadBalancer, "dst,dst")),
                ],
            ),
            inside::nat(options),
        ],
    }
}

fn masquerade_cluster_ips(options: &RuleOptions, sets: &Sets) -> String {
    let (from_elsewhere, how) = match &options.local_detector {
        _ if options.masquerade_all => (String::new(), "dst,dst"),
        LocalDetector::Cidr(net) => (format!("! -s {net} "), "dst,dst"),
        LocalDetector::Bridge(name) => (format!("! -i {name} "), "dst,dst"),
        LocalDetector::InterfacePrefix(name) => (format!("! -i {name}+ "), "dst,dst"),
        // At least what the node itself sends: it leaves with the VIP as its source, to which no
        // pod elsewhere could answer.
        LocalDetector::None => (String::new(), "src,dst"),
    };
    format!(
        "{from_elsewhere}{} {} -j KUBE-MARK-MASQ",
        says("cluster IPs, masqueraded"),
        sets.has(SetKind::ClusterIp, how),
    )
}

fn node_ports(sets: &Sets) -> Vec<String> {
    let protocols = [
        ("tcp", SetKind::NodePortLocalTcp, SetKind::NodePortTcp, "dst"),
        ("udp", SetKind::NodePortLocalUdp, SetKind::NodePortUdp, "dst"),
        ("sctp", SetKind::NodePortLocalSctp, SetKind::NodePortSctp, "dst,dst"),
    ];
    protocols
        .into_iter()
        .flat_map(|(protocol, local, all, how)| {
            [
                format!(
                    "-p {protocol} {} {} -j RETURN",
                    says("node ports of local traffic policy keep the client address"),
                    sets.has(local, how),
                ),
                format!(
                    "-p {protocol} {} {} -j KUBE-MARK-MASQ",
                    says("node ports, masqueraded"),
                    sets.has(all, how),
                ),
            ]
        })
        .collect()
}

fn filter(options: &RuleOptions, family: Family, sets: &Sets) -> Table {
    let (masquerade, drop) = (options.masquerade_mark(), options.drop_mark());
    let pass =
        |kind: SetKind, how: &str, target: &str| format!("{} -j {target}", sets.has(kind, how));
    let (put_aside, aside) = inside::aside(options, sets);
    Table {
        name: "filter",
        jumps: vec![
            jump("INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
            jump("INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
            jump("INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
            put_aside,
            jump("FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
            jump("FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
            jump("OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
        ],
        chains: vec![
            chain(
                "KUBE-FORWARD",
                vec![
                    format!("-m mark --mark {masquerade:#x}/{masquerade:#x} -j ACCEPT"),
                    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned(),
                ],
            ),
            chain(
                "KUBE-IPVS-FILTER",
                vec![
                    pass(SetKind::LoadBalancer, "dst,dst", "RETURN"),
                    pass(SetKind::ClusterIp, "dst,dst", "RETURN"),
                    pass(SetKind::ExternalIp, "dst,dst", "RETURN"),
                    pass(SetKind::ExternalIpLocal, "dst,dst", "RETURN"),
                    pass(SetKind::HealthCheckNodePort, "dst", "RETURN"),
                    format!(
                        "-m conntrack --ctstate NEW {} -j REJECT --reject-with {}",
                        sets.has(SetKind::IpvsIps, "dst"),
                        match family {
                            Family::V4 => "icmp-port-unreachable",
                            Family::V6 => "icmp6-port-unreachable",
                        },
                    ),
                ],
            ),
            chain(
                "KUBE-IPVS-OUT-FILTER",
                vec![format!(
                    "{} -m mark --mark {drop:#x}/{drop:#x} -j DROP",
                    says("source ranges keep this node out"),
                )],
            ),
            chain(
                "KUBE-NODE-PORT",
                vec![format!(
                    "{} {} -j ACCEPT",
                    says("health-check node ports"),
                    sets.has(SetKind::HealthCheckNodePort, "dst"),
                )],
            ),
            chain(
                "KUBE-PROXY-FIREWALL",
                vec![format!(
                    "{} {} -j KUBE-SOURCE-RANGES-FIREWALL",
                    says("load-balancer VIPs with source ranges"),
                    sets.has(SetKind::LoadBalancerFirewall, "dst,dst"),
                )],
            ),
            chain(
                "KUBE-SOURCE-RANGES-FIREWALL",
                vec![
                    pass(SetKind::LoadBalancerSourceCidr, "dst,dst,src", "RETURN"),
                    pass(SetKind::LoadBalancerSourceIp, "dst,dst,src", "RETURN"),
                    "-j DROP".to_owned(),
                ],
            ),
            aside,
        ],
    }
}
