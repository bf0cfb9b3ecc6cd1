//! What becomes of a packet.

use trimtab_core::{RealServer, SetElement, SetId, VirtualServer};

use crate::packet::Packet;
use crate::step::Step;

/// A packet's way, and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The packet.
    pub packet: Packet,
    /// The sets that have its destination, or its destination with its source.
    pub sets: Vec<(SetId, SetElement)>,
    /// What it meets, in the order in which the kernel asks, until it is clear who gets it.
    pub steps: Vec<Step>,
    /// Who gets it.
    pub outcome: Outcome,
}

/// Who gets a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A real server of a virtual server.
    Balanced {
        /// The virtual server.
        server: VirtualServer,
        /// Its real servers that get new connections, together where the rest of the way is alike.
        ways: Vec<Way>,
        /// Its real servers of weight 0, which get none.
        drained: Vec<RealServer>,
    },
    /// Nobody: its virtual server has no real server for new connections, and IPVS refuses it.
    NoRealServer {
        /// The virtual server.
        server: VirtualServer,
        /// Its real servers of weight 0.
        drained: Vec<RealServer>,
    },
    /// Nobody: a rule drops it, as the last step says.
    Dropped,
    /// Nobody: a rule rejects it, as the last step says.
    Rejected,
    /// A program of this node, if one listens: no virtual server takes it.
    ForNode,
    /// Whoever has its destination: it is no Service's here, and goes on as if Trimtab was not there.
    ForOthers {
        /// Whether a rule of ours gives it an address of this node as its source.
        masqueraded: bool,
    },
}

/// The way of a packet from IPVS to some real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The real servers.
    pub candidates: Vec<Candidate>,
    /// What the packet meets.
    pub steps: Vec<Step>,
    /// How it ends.
    pub end: End,
}

/// A real server that may get a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The real server.
    pub server: RealServer,
    /// Where it is.
    pub place: Where,
}

/// Where a real server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// It has an address of this node.
    Node,
    /// It is a pod of this node.
    Here,
    /// It is elsewhere.
    Elsewhere,
}

/// How the way to a real server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The real server gets the packet, with its own source or with an address of this node.
    Arrives {
        /// Whether the source becomes an address of this node.
        masqueraded: bool,
    },
    /// The real server is the client itself, which drops a packet that comes in with its own address
    /// as its source.
    FromItself,
    /// A rule drops it.
    Dropped,
    /// A rule rejects it.
    Rejected,
}
