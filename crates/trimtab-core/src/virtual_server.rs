//! What clients connect to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{Family, Protocol, Scheduler};

/// What makes a virtual server unique in the kernel: an address, a port and a protocol, or the mark
/// that the packet filter put on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frontend {
    /// Packets to this address and port.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// The VIP.
        address: IpAddr,
        /// Port in host order; 0 takes every port (persistent virtual servers only).
        port: u16,
    },
    /// Packets that carry this firewall mark, whatever their address.
    Mark {
        /// The mark, not 0.
        mark: u32,
        /// Which family's packets.
        family: Family,
    },
}

impl Frontend {
    /// The frontend for an address, a port and a protocol.
    pub const fn new(protocol: Protocol, address: IpAddr, port: u16) -> Self {
        Self::Address { protocol, address, port }
    }

    /// The family of the clients' packets.
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(*address),
            Self::Mark { family, .. } => *family,
        }
    }

    /// The protocol, unless the frontend is a mark.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Address { protocol, .. } => Some(*protocol),
            Self::Mark { .. } => None,
        }
    }

    /// The VIP, unless the frontend is a mark.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address { address, .. } => Some(*address),
            Self::Mark { .. } => None,
        }
    }
}

/// Prints `TCP 10.96.0.1:443` or `FWM 7 IPv6`.
impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address { protocol, address, port } => {
                write!(f, "{protocol} {}", SocketAddr::new(address, port))
            }
            Self::Mark { mark, family: Family::V4 } => write!(f, "FWM {mark}"),
            Self::Mark { mark, family: Family::V6 } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

bitflags::bitflags! {
    /// What a virtual server does beyond scheduling; persistence is kept apart, in
    /// [`VirtualServer::persistence`]. The values are the kernel's (`IP_VS_SVC_F_*`,
    /// include/uapi/linux/ip_vs.h).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct VirtualServerFlags: u32 {
        /// Schedule each datagram on its own, keep no connection (UDP only).
        const ONE_PACKET = 0x4;
        /// First flag of the scheduler; `sh` and `mh`: another real server when the chosen one
        /// has weight 0.
        const SCHEDULER_1 = 0x8;
        /// Second flag of the scheduler; `sh` and `mh`: hash the source port too.
        const SCHEDULER_2 = 0x10;
        /// Third flag of the scheduler.
        const SCHEDULER_3 = 0x20;
        /// `sh` and `mh`: fall back to another real server.
        const HASH_FALLBACK = Self::SCHEDULER_1.bits();
        /// `sh` and `mh`: hash the source port too.
        const HASH_PORT = Self::SCHEDULER_2.bits();
        // A flag of a later kernel is kept as it was read.
        const _ = !0;
    }
}

/// Keeping a client with its real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Persistence {
    /// Seconds after its last connection for which a client stays with its real server.
    pub timeout: u32,
    /// Bits of the client's address that make a client: 32 or 128 for one address each.
    pub prefix: u8,
}

impl Persistence {
    /// Each client address by itself, for `timeout` seconds.
    pub const fn per_address(family: Family, timeout: u32) -> Self {
        Self { timeout, prefix: family.host_prefix() }
    }
}

/// A virtual server: identity and options, never counters, so that two can be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualServer {
    /// Its identity.
    pub frontend: Frontend,
    /// How it chooses.
    pub scheduler: Scheduler,
    /// Flags other than persistence.
    pub flags: VirtualServerFlags,
    /// Whether, and how long, a client keeps its real server.
    pub persistence: Option<Persistence>,
    /// Persistence engine, such as `sip`; needs persistence.
    pub persistence_engine: Option<Box<str>>,
}

impl VirtualServer {
    /// A virtual server without flags or persistence.
    pub const fn new(frontend: Frontend, scheduler: Scheduler) -> Self {
        Self {
            frontend,
            scheduler,
            flags: VirtualServerFlags::empty(),
            persistence: None,
            persistence_engine: None,
        }
    }
}
