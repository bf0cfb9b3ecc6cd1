//! What the configuration says, as far as decisions depend on it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use trimtab_core::{Family, MarkRange, Scheduler};

/// The settings that decisions depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name as the API server knows it: endpoints on it are local.
    pub node_name: Box<str>,
    /// The scheduler of Services that do not ask for another.
    pub scheduler: Scheduler,
    /// Families to program; a node without IPv6 has only the first.
    pub families: Vec<Family>,
    /// Which of the node's addresses serve node ports.
    pub node_port_addresses: NodePortAddresses,
    /// Which external and load-balancer IPs are served.
    pub external_ips: ExternalIpPolicy,
    /// Virtual servers in these networks are never deleted when nobody asks for them.
    pub exclude: Vec<IpNet>,
    /// How long a TCP real server that left may keep its connections; zero removes it at once.
    pub drain_timeout: Duration,
    /// Whether nodes may give their endpoints a weight.
    pub node_weights: bool,
    /// The firewall marks of the views that clients inside the cluster have of frontends whose external
    /// traffic policy is Local; `None` gives them the view of clients outside.
    pub marks: Option<MarkRange>,
    /// Whether [`crate::Reconciler::take_owners`] tells whose the virtual servers are.
    pub owners: bool,
}

impl Settings {
    /// Defaults for a node of this name: round robin, both families, every node address.
    pub fn new(node_name: &str) -> Self {
        Self {
            node_name: node_name.into(),
            scheduler: Scheduler::RoundRobin,
            families: Family::ALL.to_vec(),
            node_port_addresses: NodePortAddresses::All,
            external_ips: ExternalIpPolicy::default(),
            exclude: Vec::new(),
            drain_timeout: Duration::from_secs(15 * 60),
            node_weights: false,
            marks: None,
            owners: false,
        }
    }

    /// Whether a virtual server at this address is to be left alone when nobody asks for it.
    pub(crate) fn is_excluded(&self, address: IpAddr) -> bool {
        self.exclude.iter().any(|network| network.contains(&address))
    }
}

/// `trimtab.externalIPs`: which of the addresses that Services name in `spec.externalIPs` and
/// `status.loadBalancer` are served. Whoever may write these fields can draw the traffic of any
/// address on every node (CVE-2020-8554). By default all are served, as in kube-proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIpPolicy {
    /// Only addresses in these networks are served; empty for any address.
    pub allowed: Vec<IpNet>,
    /// Addresses in these networks are never served, even if they are allowed.
    pub denied: Vec<IpNet>,
    /// Whether an address of one of the node's own interfaces is served.
    pub node_addresses: bool,
}

impl Default for ExternalIpPolicy {
    fn default() -> Self {
        Self { allowed: Vec::new(), denied: Vec::new(), node_addresses: true }
    }
}

impl ExternalIpPolicy {
    /// Why `address`, which is the node's own or not, is not served; `None` if it is.
    pub(crate) fn refusal(&self, address: IpAddr, is_of_node: bool) -> Option<&'static str> {
        let in_any = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        if !self.allowed.is_empty() && !in_any(&self.allowed) {
            Some("is not in trimtab.externalIPs.allowedCIDRs of this cluster's configuration")
        } else if in_any(&self.denied) {
            Some("is in trimtab.externalIPs.deniedCIDRs of this cluster's configuration")
        } else if is_of_node && !self.node_addresses {
            Some("is a node's own address, which trimtab.externalIPs.allowNodeAddresses forbids")
        } else {
            None
        }
    }
}

/// `nodePortAddresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// Every address of the node.
    All,
    /// The node's primary address of each family.
    Primary,
    /// The node's addresses in these networks; a family without a network has all of its addresses.
    Networks(Vec<IpNet>),
}
