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

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use trimtab_core::{Family, Protocol, SetKind};

use super::inside;
use super::options::{LocalDetector, RuleOptions};
use super::rule::{InterfaceName, Rule, Side, Target, Test};
use super::table::{DST, DST_DST, DST_DST_DST, DST_DST_SRC, SRC_DST, Sets, Table, chain, jump};

const MARK_MASQUERADE: Target = Target::Chain("KUBE-MARK-MASQ");

/// The tables in the order in which they are restored: masquerading before letting anything pass,
/// and a way for the gate bit to go before anything gets it.
pub(super) fn tables(options: &RuleOptions, family: Family) -> [Table; 3] {
    let sets = Sets(family);
    [inside::mangle(options, sets), nat(options, family, sets), filter(options, family, sets)]
}

fn nat(options: &RuleOptions, family: Family, sets: Sets) -> Table {
    let masquerade = options.masquerade_mark();
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
                    Rule::new(Target::Return)
                        .says("load-balancer VIPs of local traffic policy keep the client address")
                        .when(sets.has(SetKind::LoadBalancerLocal, DST_DST)),
                    Rule::new(MARK_MASQUERADE),
                ],
            ),
            // As the kubelet of Kubernetes before 1.28 writes it in its own copy of the chain.
            chain(
                "KUBE-MARK-MASQ",
                vec![Rule::new(Target::SetMark { value: masquerade, mask: masquerade })],
            ),
            chain("KUBE-NODE-PORT", node_ports(sets)),
            chain("KUBE-POSTROUTING", postrouting(options, sets)),
            chain("KUBE-SERVICES", services(options, family, sets)),
            inside::nat(options),
        ],
    }
}

fn postrouting(options: &RuleOptions, sets: Sets) -> Vec<Rule> {
    let masquerade = options.masquerade_mark();
    let random_fully = options.random_fully;
    let own = [
        Rule::new(Target::Masquerade { random_fully: false })
            .says("a pod reaches itself through its service")
            .when(sets.has(SetKind::LoopBack, DST_DST_SRC)),
        // The rest as that kubelet writes it, or it would add its own rules behind.
        Rule::new(Target::Return).unless(Test::Mark { value: masquerade, mask: masquerade }),
        Rule::new(Target::SetMark { value: masquerade, mask: 0 }),
        Rule::new(Target::Masquerade { random_fully })
            .says("kubernetes service traffic requiring SNAT"),
    ];
    inside::after(options).into_iter().chain(own).collect()
}

fn services(options: &RuleOptions, family: Family, sets: Sets) -> Vec<Rule> {
    let drop = options.drop_mark();
    let to_us = Test::IsLocal(Side::Destination);
    vec![
        Rule::new(Target::Return).when(Test::Source(loopback(family))),
        Rule::new(Target::SetMark { value: drop, mask: drop })
            .says("source ranges keep this node out")
            .when(Test::IsLocal(Side::Source))
            .when(sets.has(SetKind::LoadBalancerFirewall, DST_DST))
            // The element is (VIP, port, VIP); the packet's source may be any of ours.
            .unless(sets.has(SetKind::LoadBalancerSourceIp, DST_DST_DST)),
        inside::rule(sets),
        Rule::new(Target::Chain("KUBE-LOAD-BALANCER"))
            .says("load-balancer VIPs")
            .when(sets.has(SetKind::LoadBalancer, DST_DST)),
        masquerade_cluster_ips(options, sets),
        Rule::new(MARK_MASQUERADE)
            .says("external IPs, masqueraded")
            .when(sets.has(SetKind::ExternalIp, DST_DST)),
        Rule::new(Target::Accept)
            .says("external IPs")
            .when(sets.has(SetKind::ExternalIp, DST_DST))
            .when(to_us.clone()),
        Rule::new(Target::Accept)
            .says("external IPs of local traffic policy")
            .when(sets.has(SetKind::ExternalIpLocal, DST_DST))
            .when(to_us.clone()),
        Rule::new(Target::Chain("KUBE-NODE-PORT")).when(to_us),
        Rule::new(Target::Accept).when(sets.has(SetKind::ClusterIp, DST_DST)),
        Rule::new(Target::Accept).when(sets.has(SetKind::LoadBalancer, DST_DST)),
    ]
}

const fn loopback(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    }
}

fn masquerade_cluster_ips(options: &RuleOptions, sets: Sets) -> Rule {
    let rule = Rule::new(MARK_MASQUERADE).says("cluster IPs, masqueraded");
    let to_cluster_ip = sets.has(SetKind::ClusterIp, DST_DST);
    match &options.local_detector {
        _ if options.masquerade_all => rule.when(to_cluster_ip),
        LocalDetector::Cidr(net) => rule.unless(Test::Source(*net)).when(to_cluster_ip),
        LocalDetector::Bridge(name) => {
            rule.unless(Test::InInterface(InterfaceName::Is(name.clone()))).when(to_cluster_ip)
        }
        LocalDetector::InterfacePrefix(prefix) => rule
            .unless(Test::InInterface(InterfaceName::BeginsWith(prefix.clone())))
            .when(to_cluster_ip),
        // At least what the node itself sends: it leaves with the VIP as its source, to which no
        // pod elsewhere could answer.
        LocalDetector::None => rule.when(sets.has(SetKind::ClusterIp, SRC_DST)),
    }
}

fn node_ports(sets: Sets) -> Vec<Rule> {
    let protocols = [
        (Protocol::Tcp, SetKind::NodePortLocalTcp, SetKind::NodePortTcp, DST),
        (Protocol::Udp, SetKind::NodePortLocalUdp, SetKind::NodePortUdp, DST),
        (Protocol::Sctp, SetKind::NodePortLocalSctp, SetKind::NodePortSctp, DST_DST),
    ];
    protocols
        .into_iter()
        .flat_map(|(protocol, local, all, sides)| {
            [
                Rule::new(Target::Return)
                    .says("node ports of local traffic policy keep the client address")
                    .when(Test::Protocol(protocol))
                    .when(sets.has(local, sides)),
                Rule::new(MARK_MASQUERADE)
                    .says("node ports, masqueraded")
                    .when(Test::Protocol(protocol))
                    .when(sets.has(all, sides)),
            ]
        })
        .collect()
}

fn filter(options: &RuleOptions, family: Family, sets: Sets) -> Table {
    let (masquerade, drop) = (options.masquerade_mark(), options.drop_mark());
    let passes = |kind: SetKind, sides| Rule::new(Target::Return).when(sets.has(kind, sides));
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
                    Rule::new(Target::Accept)
                        .when(Test::Mark { value: masquerade, mask: masquerade }),
                    Rule::new(Target::Accept).when(Test::IsEstablished),
                ],
            ),
            chain(
                "KUBE-IPVS-FILTER",
                vec![
                    passes(SetKind::LoadBalancer, DST_DST),
                    passes(SetKind::ClusterIp, DST_DST),
                    passes(SetKind::ExternalIp, DST_DST),
                    passes(SetKind::ExternalIpLocal, DST_DST),
                    passes(SetKind::HealthCheckNodePort, DST),
                    Rule::new(Target::Reject(family))
                        .when(Test::IsNew)
                        .when(sets.has(SetKind::IpvsIps, DST)),
                ],
            ),
            chain(
                "KUBE-IPVS-OUT-FILTER",
                vec![
                    Rule::new(Target::Drop)
                        .says("source ranges keep this node out")
                        .when(Test::Mark { value: drop, mask: drop }),
                ],
            ),
            chain(
                "KUBE-NODE-PORT",
                vec![
                    Rule::new(Target::Accept)
                        .says("health-check node ports")
                        .when(sets.has(SetKind::HealthCheckNodePort, DST)),
                ],
            ),
            chain(
                "KUBE-PROXY-FIREWALL",
                vec![
                    Rule::new(Target::Chain("KUBE-SOURCE-RANGES-FIREWALL"))
                        .says("load-balancer VIPs with source ranges")
                        .when(sets.has(SetKind::LoadBalancerFirewall, DST_DST)),
                ],
            ),
            chain(
                "KUBE-SOURCE-RANGES-FIREWALL",
                vec![
                    passes(SetKind::LoadBalancerSourceCidr, DST_DST_SRC),
                    passes(SetKind::LoadBalancerSourceIp, DST_DST_SRC),
                    Rule::new(Target::Drop),
                ],
            ),
            aside,
        ],
    }
}
