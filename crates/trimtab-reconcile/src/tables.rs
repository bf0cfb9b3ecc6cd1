//! What the kernel should hold and what it is known to hold, side by side.

mod belief;
mod counted;
mod deadline;
mod inside;
mod virtual_server;

use std::net::IpAddr;

use hashbrown::HashMap;
use trimtab_core::{Frontend, RealServerKey, SetElement, SetId, SetKind};

pub(crate) use counted::{Counted, Elements};
pub(crate) use deadline::Deadline;
pub(crate) use inside::{InsideMarks, Step, element, frontend_of, mark_of};
pub(crate) use virtual_server::{
    KnownServer, KnownVirtualServer, ServerEntry, VirtualServerEntry, Wanted,
};

/// An object of the kernel that may have to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectKey {
    /// A virtual server and all its real servers.
    VirtualServer(Frontend),
    /// One real server.
    RealServer(Frontend, RealServerKey),
    /// A set element.
    Element(SetId, SetElement),
    /// A VIP on the dummy interface.
    Address(IpAddr),
    /// The mark that the packets of clients inside the cluster to a frontend are given.
    InsideMark(Frontend),
}

/// The kernel's objects, found by hash.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) virtual_servers: HashMap<Frontend, VirtualServerEntry>,
    pub(crate) elements: Elements,
    pub(crate) addresses: HashMap<IpAddr, Counted>,
    pub(crate) inside: InsideMarks,
}

impl Tables {
    /// Whether anything of ours in the kernel has this mark: a virtual server, its record, or packets.
    pub(crate) fn has_mark(&self, mark: &Frontend) -> bool {
        self.virtual_servers.contains_key(mark) || self.ledger_has(mark, |_| false)
    }

    /// Whether the sets in the kernel say that a virtual server is ours.
    ///
    /// Where its frontend is a mark: the mark is in the set of our marks, or in the set that says
    /// which packets are given one. Other marks are somebody else's, whatever range ours are from.
    ///
    /// Else: its address, protocol and
    /// port are in one of the frontend sets, or its port is a node port and its address, by
    /// `is_of_node`, one of the node's.
    ///
    /// The sets of node ports have no addresses, so the port alone says nothing: somebody else,
    /// such as keepalived, may serve the same number at an address of their own. Of the node's are
    /// the addresses that it has, or had since the program started, whatever `nodePortAddresses`
    /// says now: it may have said something else before. A virtual server at an address that the
    /// node lost while the program was not running cannot be told from somebody else's, and stays;
    /// nobody reaches it from outside, for the node no longer takes in what goes there.
    pub(crate) fn ledger_has(
        &self,
        frontend: &Frontend,
        is_of_node: impl Fn(IpAddr) -> bool,
    ) -> bool {
        let Frontend::Address { protocol, address, port } = *frontend else {
            return self.inside.is_used(frontend)
                || record_of(frontend)
                    .is_some_and(|(set, element)| self.elements.is_present(set, &element));
        };
        let present = |kind: SetKind, element| {
            self.elements.is_present(SetId::new(kind, frontend.family()), &element)
        };
        let element = SetElement::IpPort(address, protocol, port);
        let frontends = [
            SetKind::ClusterIp,
            SetKind::ExternalIp,
            SetKind::ExternalIpLocal,
            SetKind::LoadBalancer,
            SetKind::NodePortSctp,
        ];
        let node_ports = match protocol {
            trimtab_core::Protocol::Tcp => Some(SetKind::NodePortTcp),
            trimtab_core::Protocol::Udp => Some(SetKind::NodePortUdp),
            trimtab_core::Protocol::Sctp => None,
        };
        frontends.into_iter().any(|kind| present(kind, element))
            || is_of_node(address)
                && node_ports.is_some_and(|kind| present(kind, SetElement::Port(port)))
    }
}

/// The element that says that the mark of a virtual server is ours; none if its frontend is no mark.
pub(crate) fn record_of(frontend: &Frontend) -> Option<(SetId, SetElement)> {
    match *frontend {
        Frontend::Mark { mark, family } => {
            Some((SetId::new(SetKind::Marks, family), SetElement::of_mark(mark, family)))
        }
        Frontend::Address { .. } => None,
    }
}

/// The mark that a record says is ours: the inverse of [`record_of`].
pub(crate) fn mark_of_record(set: SetId, element: &SetElement) -> Option<Frontend> {
    let (SetKind::Marks, SetElement::Ip(address)) = (set.kind, element) else { return None };
    let mark = match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => u32::try_from(v6.to_bits()).ok()?,
    };
    Some(Frontend::Mark { mark, family: set.family })
}
