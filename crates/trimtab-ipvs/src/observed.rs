//! The kernel's objects, with counters separate from the configuration.

use std::net::Ipv4Addr;

use trimtab_core::{RealServer, VirtualServer};

use crate::{Stats, SyncDaemon};

/// A virtual server in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedVirtualServer {
    /// Identity and options, for comparison with the desired state.
    pub server: VirtualServer,
    /// The persistence netmask where it is no prefix, as `ipvsadm -M 255.0.255.0` makes it; the
    /// prefix in [`VirtualServer::persistence`] is then that of its leading ones.
    pub irregular_netmask: Option<Ipv4Addr>,
    /// Its traffic counters.
    pub stats: Stats,
    /// Attributes that this crate does not know.
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
    /// Identity and options, for comparison with the desired state.
    pub server: RealServer,
    /// Connections in the protocol's established state.
    pub active_connections: u32,
    /// Connections in every other state.
    pub inactive_connections: u32,
    /// Number of persistence entries.
    pub persistent_connections: u32,
    /// Its traffic counters.
    pub stats: Stats,
    /// Attributes that this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// A sync daemon in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedSyncDaemon {
    /// Its settings, with the kernel's defaults filled in.
    pub daemon: SyncDaemon,
    /// Attributes that this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// The nesting level of an attribute; numbers have a meaning only within their level.
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
