//! The node, as far as Services depend on it.

use std::net::IpAddr;

use hashbrown::HashSet;
use trimtab_core::{Family, Scheduler};

use crate::objects::LocalAddress;
use crate::settings::NodePortAddresses;

/// The node's addresses: on its interfaces, and as its Node object lists them; and what its kernel
/// turned out to lack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeView {
    on_interfaces: HashSet<IpAddr>,
    primary: [Option<IpAddr>; 2],
    node_ports: [Vec<IpAddr>; 2],
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
        Self { on_interfaces, primary, node_ports, lacking: Vec::new() }
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
