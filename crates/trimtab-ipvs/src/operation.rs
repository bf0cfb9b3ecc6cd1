//! Changes as values.

use std::fmt;

use trimtab_core::{Frontend, RealServer, RealServerKey, VirtualServer};
use trimtab_netlink::Errno;

use crate::{SyncDaemon, SyncRole, Timeouts};

/// One change to the kernel's IPVS: one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Add a virtual server.
    AddVirtualServer(VirtualServer),
    /// Replace all options of an existing virtual server.
    SetVirtualServer(VirtualServer),
    /// Delete a virtual server, with its real servers.
    DeleteVirtualServer(Frontend),
    /// Add a real server.
    AddRealServer(Frontend, RealServer),
    /// Replace all options of an existing real server.
    SetRealServer(Frontend, RealServer),
    /// Delete a real server; the sysctl `net.ipv4.vs.expire_nodest_conn` decides what happens to
    /// its connections.
    DeleteRealServer(Frontend, RealServerKey),
    /// Set the counters to 0, of one virtual server and its real servers or of all.
    Zero(Option<Frontend>),
    /// Delete every virtual server of this network namespace.
    Flush,
    /// Change timeouts.
    SetTimeouts(Timeouts),
    /// Start a sync daemon.
    StartSyncDaemon(SyncDaemon),
    /// Stop the sync daemon of this role.
    StopSyncDaemon(SyncRole),
}

/// The same, borrowed: what the encoder takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OperationRef<'a> {
    AddVirtualServer(&'a VirtualServer),
    SetVirtualServer(&'a VirtualServer),
    DeleteVirtualServer(&'a Frontend),
    AddRealServer(&'a Frontend, &'a RealServer),
    SetRealServer(&'a Frontend, &'a RealServer),
    DeleteRealServer(&'a Frontend, &'a RealServerKey),
    Zero(Option<&'a Frontend>),
    Flush,
    SetTimeouts(&'a Timeouts),
    StartSyncDaemon(&'a SyncDaemon),
    StopSyncDaemon(SyncRole),
}

impl Operation {
    pub(crate) fn borrowed(&self) -> OperationRef<'_> {
        match self {
            Self::AddVirtualServer(server) => OperationRef::AddVirtualServer(server),
            Self::SetVirtualServer(server) => OperationRef::SetVirtualServer(server),
            Self::DeleteVirtualServer(frontend) => OperationRef::DeleteVirtualServer(frontend),
            Self::AddRealServer(frontend, server) => OperationRef::AddRealServer(frontend, server),
            Self::SetRealServer(frontend, server) => OperationRef::SetRealServer(frontend, server),
            Self::DeleteRealServer(frontend, key) => OperationRef::DeleteRealServer(frontend, key),
            Self::Zero(frontend) => OperationRef::Zero(frontend.as_ref()),
            Self::Flush => OperationRef::Flush,
            Self::SetTimeouts(timeouts) => OperationRef::SetTimeouts(timeouts),
            Self::StartSyncDaemon(daemon) => OperationRef::StartSyncDaemon(daemon),
            Self::StopSyncDaemon(role) => OperationRef::StopSyncDaemon(*role),
        }
    }

    /// The meaning of an error number for this operation, if the kernel's own text ("No such file
    /// or directory") does not tell it (net/netfilter/ipvs/ip_vs_ctl.c).
    pub fn reason(&self, errno: Errno) -> Option<String> {
        let reason = match (self, errno.0) {
            (Self::AddVirtualServer(server) | Self::SetVirtualServer(server), libc::ENOENT) => {
                return Some(missing_module(server));
            }
            (Self::AddVirtualServer(_), libc::EEXIST) => "the virtual server already exists",
            (Self::StartSyncDaemon(_), libc::EEXIST) => {
                "a sync daemon with this role is already \
                running"
            }
            (Self::StartSyncDaemon(_), libc::ENODEV) => "the interface does not exist",
            (Self::StopSyncDaemon(_), libc::ESRCH) => "no sync daemon with this role is running",
            (_, libc::ESRCH) => "the virtual server does not exist",
            (_, libc::EAFNOSUPPORT) => "this kernel runs without IPv6",
            (Self::AddVirtualServer(_) | Self::SetVirtualServer(_), libc::EINVAL) => {
                "the mark is 0, the persistence prefix is outside the family's range, \
                 or the persistence engine's name is too long"
            }
            (Self::AddRealServer(..), libc::EEXIST) => "the real server already exists",
            (Self::SetRealServer(..) | Self::DeleteRealServer(..), libc::ENOENT) => {
                "the real server does not exist"
            }
            (Self::AddRealServer(..) | Self::SetRealServer(..), libc::ERANGE) => {
                "the weight is greater than 2147483647, or the lower threshold is above the upper \
                 one"
            }
            (Self::AddRealServer(..) | Self::SetRealServer(..), libc::EINVAL) => {
                "the address is not unicast, or of the other family without a tunnel, \
                 or a GUE tunnel has no port, or this network namespace has no address up"
            }
            _ => return None,
        };
        Some(reason.to_owned())
    }
}

fn missing_module(server: &VirtualServer) -> String {
    let scheduler =
        format!("this kernel has no scheduler {0} (module ip_vs_{0})", server.scheduler);
    match &server.persistence_engine {
        Some(engine) => {
            format!("{scheduler}, or no persistence engine {engine} (module ip_vs_pe_{engine})")
        }
        None => scheduler,
    }
}

/// Prints `add real server 10.244.0.5:8080 to TCP 10.96.0.1:443` and the like.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddVirtualServer(server) => {
                write!(f, "add virtual server {} {}", server.frontend, server.scheduler)
            }
            Self::SetVirtualServer(server) => {
                write!(f, "set virtual server {} {}", server.frontend, server.scheduler)
            }
            Self::DeleteVirtualServer(frontend) => write!(f, "delete virtual server {frontend}"),
            Self::AddRealServer(frontend, server) => {
                write!(f, "add real server {} to {frontend}", server.key)
            }
            Self::SetRealServer(frontend, server) => {
                write!(f, "set real server {} of {frontend}", server.key)
            }
            Self::DeleteRealServer(frontend, key) => {
                write!(f, "delete real server {key} of {frontend}")
            }
            Self::Zero(Some(frontend)) => write!(f, "zero the counters of {frontend}"),
            Self::Zero(None) => f.write_str("zero all counters"),
            Self::Flush => f.write_str("delete all virtual servers"),
            Self::SetTimeouts(_) => f.write_str("set timeouts"),
            Self::StartSyncDaemon(daemon) => {
                write!(f, "start sync daemon {} on {}", daemon.role, daemon.interface)
            }
            Self::StopSyncDaemon(role) => write!(f, "stop sync daemon {role}"),
        }
    }
}
