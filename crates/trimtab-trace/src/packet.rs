//! The packet that is followed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use trimtab_core::{Family, Protocol};

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its protocol.
    pub protocol: Protocol,
    /// The address that it has as its source when the node first sees it.
    pub source: IpAddr,
    /// Its source port, on which no rule depends.
    pub source_port: Option<u16>,
    /// Where it is sent.
    pub destination: SocketAddr,
    /// Where it comes from.
    pub place: Place,
    /// The interface by which it comes in; `None` for one that fits the place.
    pub interface: Option<Box<str>>,
}

impl Packet {
    /// The family of its addresses.
    pub const fn family(&self) -> Family {
        Family::of(self.destination.ip())
    }
}

/// Where a packet comes from, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A pod of this node.
    Pod,
    /// A pod of another node, whose packet reaches this one unchanged.
    PodElsewhere,
    /// This node itself, or a pod in its network namespace.
    Node,
    /// Anywhere else: another node, or a client outside the cluster.
    Outside,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "a pod of this node",
            Self::PodElsewhere => "a pod of another node",
            Self::Node => "this node itself",
            Self::Outside => "another node, or outside the cluster",
        })
    }
}
