//! What a node holds.

use std::net::IpAddr;

use ipnet::IpNet;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{Family, Protocol, RealServerKey, SetElement, SetId, SetKind};
use trimtab_host::rules::{RuleSet, Test};
use trimtab_reconcile::KernelState;

use crate::packet::Place;

/// What a node holds, or should hold, for packets of one family.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Virtual servers, set elements, VIPs.
    pub state: &'a KernelState,
    /// The rules of the family.
    pub rules: &'a RuleSet,
    /// The addresses of its interfaces.
    pub local: &'a [LocalAddress],
    /// The networks of its own pods, as far as they are known.
    pub pod_networks: &'a [IpNet],
}

impl Node<'_> {
    /// Where a packet with this source comes from, unless its source is forged.
    pub fn place_of(&self, source: IpAddr) -> Place {
        if self.is_local(source) {
            return Place::Node;
        }
        let here = self.pod_networks.iter().any(|network| network.contains(&source));
        if here || self.endpoints_here(Family::of(source)).any(|endpoint| endpoint == source) {
            return Place::Pod;
        }
        let real_servers =
            self.state.virtual_servers.values().flat_map(|it| it.real_servers.keys());
        let is_endpoint = real_servers.into_iter().any(|key| key.address == source);
        if !is_endpoint && !self.pods_of_all_nodes().any(|network| network.contains(&source)) {
            return Place::Outside;
        }
        // Without networks of its own to tell, a pod that is no endpoint is taken for one of this
        // node: that is where an operator usually asks.
        let family = Family::of(source);
        let knows_own = self.pod_networks.iter().any(|net| Family::of(net.addr()) == family);
        if is_endpoint || knows_own { Place::PodElsewhere } else { Place::Pod }
    }

    /// Whether an address is one of this node: of an interface, bound as a VIP, or loopback.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self.state.addresses.contains(&address)
            || self.local.iter().any(|local| local.address == address)
    }

    /// Whether an interface has this address.
    pub(crate) fn has_on(&self, interface: &str, address: IpAddr) -> bool {
        self.local.iter().any(|local| &*local.interface == interface && local.address == address)
    }

    /// The interface by which a packet from another machine comes in: the one that has the
    /// destination, or the first one that faces others.
    pub(crate) fn uplink(&self, destination: IpAddr) -> Option<&str> {
        let family = Family::of(destination);
        let is_of_pods = |address: IpAddr| {
            let networks = self.pod_networks.iter().copied().chain(self.pods_of_all_nodes());
            networks.into_iter().any(|network| network.contains(&address))
        };
        let facing_others = || {
            self.local.iter().filter(|local| {
                Family::of(local.address) == family
                    && local.is_reachable()
                    && !is_of_pods(local.address)
            })
        };
        let found = facing_others().find(|local| local.address == destination);
        found.or_else(|| facing_others().next()).map(|local| &*local.interface)
    }

    /// Whether a real server is an endpoint on this node: its sets say so.
    pub(crate) fn has_endpoint(&self, protocol: Protocol, key: RealServerKey) -> bool {
        let set = SetId::new(SetKind::LoopBack, Family::of(key.address));
        let element = SetElement::IpPortIp(key.address, protocol, key.port, key.address);
        self.state.elements.contains(&(set, element))
    }

    fn endpoints_here(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        let set = SetId::new(SetKind::LoopBack, family);
        self.state.elements.iter().filter_map(move |(of, element)| match element {
            SetElement::IpPortIp(address, ..) if *of == set => Some(*address),
            _ => None,
        })
    }

    /// The networks by which the rules recognise pods.
    fn pods_of_all_nodes(&self) -> impl Iterator<Item = IpNet> + '_ {
        let nat = self.rules.tables().iter().filter(|table| table.name == "nat");
        let rules = nat.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        rules.flat_map(|rule| &rule.conditions).filter_map(|condition| match condition.test {
            Test::Source(network) if !network.addr().is_loopback() => Some(network),
            _ => None,
        })
    }
}
