//! The node, as far as it matters here.

use std::net::IpAddr;

use ipnet::IpNet;

/// The Node object of the node that this program runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeObject {
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Box<str>>,
    /// `status.addresses`: the InternalIPs first, then the ExternalIPs.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
}

/// An address on one of the node's interfaces other than the dummy interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalAddress {
    /// The interface.
    pub interface: Box<str>,
    /// The address.
    pub address: IpAddr,
}

impl LocalAddress {
    /// Whether other hosts could reach the node by it: neither loopback nor IPv6 link-local.
    pub fn is_reachable(&self) -> bool {
        match self.address {
            IpAddr::V4(v4) => !v4.is_loopback(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        }
    }
}
