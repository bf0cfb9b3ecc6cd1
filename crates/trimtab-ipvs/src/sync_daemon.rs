//! The daemons that copy connections from one load balancer to another.

use std::fmt;
use std::net::IpAddr;

/// The role of a sync daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncRole {
    /// Sends its connections.
    Master,
    /// Takes the connections of a master.
    Backup,
}

impl fmt::Display for SyncRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon; a network namespace has at most one of each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// What it does.
    pub role: SyncRole,
    /// The interface it multicasts on or listens on, at most 15 bytes long.
    pub interface: Box<str>,
    /// Matches masters with backups, 0 to 255; 0 accepts every master's connections.
    pub id: u32,
    /// Longest UDP payload in bytes; 0 for what the interface's MTU allows.
    pub payload: u16,
    /// Multicast group; the kernel's is 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port of the first sync thread; 0 for the kernel's 8848.
    pub port: u16,
    /// Time to live of its packets; 0 for the kernel's 1.
    pub ttl: u8,
}

impl SyncDaemon {
    /// A sync daemon with the kernel's defaults.
    pub fn new(role: SyncRole, interface: &str, id: u32) -> Self {
        Self { role, interface: interface.into(), id, payload: 0, group: None, port: 0, ttl: 0 }
    }
}
