//! A packet on its way, as the conditions of rules see it.

use trimtab_core::{SetElement, SetId};
use trimtab_host::rules::{Condition, InterfaceName, Side, Test};

use crate::headers::Headers;
use crate::node::Node;
use crate::packet::{Packet, Place};
use crate::sets;

/// A packet at one point of its way.
#[derive(Clone, Debug)]
pub(crate) struct Passing<'a> {
    pub(crate) node: &'a Node<'a>,
    pub(crate) headers: Headers,
    pub(crate) interface: Interface,
    pub(crate) mark: u32,
    pub(crate) connection_mark: u32,
}

/// The interface by which a packet came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// None: the packet is sent, not received.
    None,
    /// One of those that the node's pods are behind, whatever its name.
    OfPods,
    /// This one.
    Named(Box<str>),
}

impl<'a> Passing<'a> {
    /// The packet when the node first sees it.
    pub(crate) fn new(node: &'a Node<'a>, packet: &Packet) -> Self {
        let destination = packet.destination.ip();
        let named = packet.interface.clone().map(Interface::Named);
        let interface = match packet.place {
            Place::Node => Interface::None,
            Place::Pod => named.unwrap_or(Interface::OfPods),
            Place::PodElsewhere | Place::Outside => named.unwrap_or_else(|| {
                node.uplink(destination).map_or(Interface::None, |it| Interface::Named(it.into()))
            }),
        };
        let headers = Headers {
            protocol: packet.protocol,
            source: packet.source,
            source_port: packet.source_port,
            destination,
            destination_port: packet.destination.port(),
        };
        Self { node, headers, interface, mark: 0, connection_mark: 0 }
    }

    /// The element of a set that the packet matches.
    pub(crate) fn element(&self, set: SetId, sides: &[Side]) -> Option<SetElement> {
        sets::find(self.node, &self.headers, set, sides)
    }

    /// Whether a condition holds. The packet is the first one of its connection, on all of its way:
    /// IPVS translates it, but nothing has come back.
    pub(crate) fn meets(&self, condition: &Condition) -> bool {
        let holds = match &condition.test {
            Test::Source(network) => network.contains(&self.headers.source),
            Test::Destination(network) => network.contains(&self.headers.destination),
            Test::InInterface(name) => self.came_by(name),
            Test::Protocol(protocol) => self.headers.protocol == *protocol,
            Test::InSet(set, sides) => self.element(*set, sides).is_some(),
            Test::IsLocal(side) => self.node.is_local(self.headers.address(*side)),
            Test::IsLocalToInterface => match &self.interface {
                Interface::Named(name) => self.node.has_on(name, self.headers.destination),
                Interface::None | Interface::OfPods => false,
            },
            Test::Mark { value, mask } => self.mark & mask == *value,
            Test::ConnectionMark { value, mask } => self.connection_mark & mask == *value,
            Test::IsNew => true,
            Test::IsEstablished => false,
        };
        holds != condition.negated
    }

    /// What the rules are told to recognise pods by is what the node's pods are behind.
    fn came_by(&self, name: &InterfaceName) -> bool {
        match (&self.interface, name) {
            (Interface::None, _) => false,
            (Interface::OfPods, _) => true,
            (Interface::Named(by), InterfaceName::Is(name)) => **by == **name,
            (Interface::Named(by), InterfaceName::BeginsWith(prefix)) => by.starts_with(prefix),
        }
    }
}
