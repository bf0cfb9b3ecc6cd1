//! What the kernel holds, counters apart from what was asked of it.

use std::net::Ipv4Addr;

use trimtab_core::{RealServer, VirtualServer};

use crate::{Stats, SyncDaemon};

/// A virtual server in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedVirtualServer {
    /// Identity and options, to be compared with what is desired.
    pub server: VirtualServer,
    /// The persistence netmask where it is no prefix, as `ipvsadm -M 255.0.255.0` makes it; the
    /// prefix in [`VirtualServer::persistence`] is then that of its leading ones.
    pub irregular_netmask: Option<Ipv4Addr>,
    /// What passed through it.
    pub stats: Stats,
    /// What this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

impl ObservedVirtualServer {
    /// Whether the kernel holds exactly this.
    pub fn holds(&self, desired: &VirtualServer) -> bool {
        self.irregular_netmask.is_none() && self.server == *desired
    }
}

/// A real server in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRealServer {
    /// Identity and options, to be compared with what is desired.
    pub server: RealServer,
    /// Connections in the protocol's established state.
    pub active_connections: u32,
    /// Connections in every other state.
    pub inactive_connections: u32,
    /// Clients kept here by persistence.
    pub persistent_connections: u32,
    /// What passed through it.
    pub stats: Stats,
    /// What this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// A sync daemon in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSyncDaemon {
    /// Its settings, with the kernel's defaults filled in.
    pub daemon: SyncDaemon,
    /// What this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// Where in a message an attribute stood; numbers have a meaning only within their level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeLevel {
    /// Beside the object.
    Message,
    /// In the object.
    Object,
    /// In the object's counters.
    Stats,
}

/// An attribute of a later kernel, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAttribute {
    /// Where it stood.
    pub level: AttributeLevel,
    /// Its number there.
    pub kind: u16,
    /// Its bytes.
    pub value: Box<[u8]>,
}
