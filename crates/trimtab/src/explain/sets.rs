//! Ipsets, and what the rules that match them do.

use trimtab_admin::{Element, SetRole};

/// What follows from an element.
pub(super) fn sentence(element: &Element) -> String {
    let Element { set, value, role } = element;
    format!("{set} has {value}: {}.", rule(*role))
}

/// What the rules do with packets that match an element of a set with this role.
const fn rule(role: SetRole) -> &'static str {
    match role {
        SetRole::LoopBack => "a pod that reaches itself through its Service is masqueraded",
        SetRole::ClusterIp => {
            "packets to it are masqueraded if detectLocalMode does not take them for a pod's (or, where \
             it recognises no pods, if the node itself sends them), and with iptables.masqueradeAll"
        }
        SetRole::ExternalIp => "packets to it are masqueraded",
        SetRole::LoadBalancer | SetRole::NodePort => {
            "packets to it are masqueraded, unless its policy is Local"
        }
        SetRole::ExternalIpLocal | SetRole::LoadBalancerLocal | SetRole::NodePortLocal => {
            "packets to it keep the client's address"
        }
        SetRole::LoadBalancerFirewall => {
            "packets to it are dropped unless a source range lets the client in"
        }
        SetRole::LoadBalancerSourceRange => "clients from this source range are let in",
        SetRole::LoadBalancerSourceNode => "a source range lets this node itself in",
        SetRole::HealthCheckNodePort => "load balancers may ask for its health at this port",
        SetRole::Vip => "packets to it at ports that no Service has are rejected",
        SetRole::Inside => "packets to it from pods and from the node itself are given a mark",
        SetRole::Marks => "the mark is Trimtab's",
    }
}
