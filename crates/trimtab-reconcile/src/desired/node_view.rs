//! The node, as far as Services depend on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashSet;
use trimtab_core::{Family, Scheduler};

use crate::settings::NodePortAddresses;
use trimtab_core::objects::LocalAddress;

/// The node's addresses: on its interfaces, and as its Node object lists them; and what its kernel
/// turned out to lack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeView {
    on_interfaces: HashSet<IpAddr>,
    primary: [Option<IpAddr>; 2],
    node_ports: [Vec<IpAddr>; 2],
    health_checks: [Vec<IpAddr>; 2],
    lacking: Vec<Scheduler>,
}

impl NodeView {
    /// From the addresses on the node's interfaces (the dummy interface left out), those of its Node
    /// object in order of preference, and `nodePortAddresses`.
    pub(crate) fn new(
        local: &[LocalAddress],
        object: &[IpAddr],
        choice: &NodePortAddresses,
    ) -> Self {
        let on_interfaces = local.iter().filter(|a| a.is_reachable()).map(|a| a.address).collect();
        let primary = Family::ALL
            .map(|family| object.iter().copied().find(|address| Family::of(*address) == family));
        let node_ports = Family::ALL.map(|family| {
            let own = primary[family as usize];
            let mut chosen: Vec<IpAddr> = local
                .iter()
                .filter(|address| Family::of(address.address) == family)
                .filter(|address| serves(address, own, choice))
                .map(|address| address.address)
                .collect();
            chosen.sort_unstable();
            chosen.dedup();
            chosen
        });
        let health_checks =
            Family::ALL.map(|family| listening(local, family, primary[family as usize], choice));
        Self { on_interfaces, primary, node_ports, health_checks, lacking: Vec::new() }
    }

    /// With what the kernel of another view of this node turned out to lack.
    pub(crate) fn lacking_as(mut self, other: &Self) -> Self {
        self.lacking.clone_from(&other.lacking);
        self
    }

    /// Notes that the kernel has no such scheduler; whether that is news.
    pub(crate) fn set_lacking(&mut self, scheduler: Scheduler) -> bool {
        let is_news = !self.lacks(scheduler);
        if is_news {
            self.lacking.push(scheduler);
        }
        is_news
    }

    /// The schedulers that the kernel turned out to lack; from now on it is taken to have them.
    pub(crate) fn take_lacking(&mut self) -> Vec<Scheduler> {
        std::mem::take(&mut self.lacking)
    }

    /// Whether the kernel turned out to have no such scheduler.
    pub(crate) fn lacks(&self, scheduler: Scheduler) -> bool {
        self.lacking.contains(&scheduler)
    }

    /// Whether an interface other than the dummy one has `address`.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.on_interfaces.contains(&address)
    }

    /// The node's first address of a family, as its Node object has it.
    pub(crate) fn primary(&self, family: Family) -> Option<IpAddr> {
        self.primary[family as usize]
    }

    /// The addresses that serve node ports.
    pub(crate) fn node_port_addresses(&self, family: Family) -> &[IpAddr] {
        &self.node_ports[family as usize]
    }

    /// The addresses that health-check node ports listen on; the unspecified one for all.
    pub(crate) fn health_check_addresses(&self, family: Family) -> &[IpAddr] {
        &self.health_checks[family as usize]
    }
}

/// As for node ports, except that loopback addresses may be chosen too, and that where every
/// address would serve it is the unspecified one that does.
fn listening(
    local: &[LocalAddress],
    family: Family,
    primary: Option<IpAddr>,
    choice: &NodePortAddresses,
) -> Vec<IpAddr> {
    let everywhere = || match family {
        Family::V4 => vec![Ipv4Addr::UNSPECIFIED.into()],
        Family::V6 => vec![Ipv6Addr::UNSPECIFIED.into()],
    };
    match choice {
        NodePortAddresses::All => everywhere(),
        NodePortAddresses::Primary => primary.map_or_else(everywhere, |own| vec![own]),
        NodePortAddresses::Networks(networks) => {
            let of_family: Vec<_> =
                networks.iter().filter(|net| Family::of(net.addr()) == family).collect();
            if of_family.is_empty() || of_family.iter().any(|net| net.prefix_len() == 0) {
                return everywhere();
            }
            let chosen = local.iter().map(|address| address.address);
            let chosen = chosen.filter(|ip| of_family.iter().any(|net| net.contains(ip)));
            let distinct: std::collections::BTreeSet<IpAddr> = chosen.collect();
            distinct.into_iter().collect()
        }
    }
}

fn serves(address: &LocalAddress, primary: Option<IpAddr>, choice: &NodePortAddresses) -> bool {
    let ip = address.address;
    match choice {
        NodePortAddresses::All => address.is_reachable(),
        // Without a primary address the choice says nothing, and every address serves.
        NodePortAddresses::Primary => {
            primary.map_or_else(|| address.is_reachable(), |own| own == ip)
        }
        NodePortAddresses::Networks(networks) => {
            let mut of_family =
                networks.iter().filter(|net| Family::of(net.addr()) == Family::of(ip)).peekable();
            if of_family.peek().is_none() {
                return address.is_reachable();
            }
            of_family.any(|net| {
                net.contains(&ip)
                    && if net.prefix_len() == 0 {
                        address.is_reachable()
                    } else {
                        !ip.is_loopback()
                    }
            })
        }
    }
}
