//! One change of the kernel's state, and where in a plan it belongs.

use std::fmt;
use std::net::IpAddr;

use trimtab_core::{Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};

/// The Service on whose behalf an operation is done. Numbers are reused after a Service is gone;
/// number 0 stands for what no Service asks for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(crate) u32);

impl ServiceId {
    /// Nobody: what was found in the kernel and is not wanted.
    pub const NOBODY: Self = Self(0);
}

/// One change of the kernel's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// For whom.
    pub service: ServiceId,
    /// What.
    pub action: Action,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put an element into a set.
    AddElement(SetId, SetElement),
    /// Make a virtual server, without real servers yet.
    AddVirtualServer(VirtualServer),
    /// Change the options of a virtual server; its connections stay.
    SetVirtualServer(VirtualServer),
    /// Add a real server to a virtual server.
    AddRealServer(Frontend, RealServer),
    /// Change a real server; its connections stay.
    SetRealServer(Frontend, RealServer),
    /// Put a VIP on the dummy interface.
    AddAddress(IpAddr),
    /// Take a VIP off the dummy interface.
    DeleteAddress(IpAddr),
    /// Give a real server that left weight 0: no new connections, the ones it has go on.
    DrainRealServer(Frontend, RealServer),
    /// Remove a real server.
    DeleteRealServer(Frontend, RealServerKey),
    /// Remove a virtual server and its real servers.
    DeleteVirtualServer(Frontend),
    /// Take an element out of a set.
    DeleteElement(SetId, SetElement),
}

/// The steps of a plan, in order. This order is what keeps every moment of a change right:
///
/// * elements (masquerade, access, ownership) are there before what they are about is reachable,
/// * real servers are in before a VIP answers, and new ones before old ones leave,
/// * a mark is given to packets after its virtual server has its real servers, and no packet has it any
///   more before its virtual server leaves; a VIP answers when both views of it are ready,
/// * a VIP is gone before its virtual servers are, and their elements go last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Elements are added.
    AddElements,
    /// Virtual servers are made and changed, real servers added and changed.
    Serve,
    /// The packets of clients inside the cluster are given marks, other marks, or none any more.
    Direct,
    /// VIPs are bound.
    Bind,
    /// VIPs are unbound.
    Unbind,
    /// Real servers and virtual servers leave.
    Withdraw,
    /// Elements are deleted.
    DeleteElements,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 7] = [
        Self::AddElements,
        Self::Serve,
        Self::Direct,
        Self::Bind,
        Self::Unbind,
        Self::Withdraw,
        Self::DeleteElements,
    ];
}

impl Action {
    /// The step of a plan that this belongs to.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::AddElement(set, _) | Self::DeleteElement(set, _) if set.kind.has_marks() => {
                Phase::Direct
            }
            Self::AddElement(..) => Phase::AddElements,
            Self::AddVirtualServer(_)
            | Self::SetVirtualServer(_)
            | Self::AddRealServer(..)
            | Self::SetRealServer(..) => Phase::Serve,
            Self::AddAddress(_) => Phase::Bind,
            Self::DeleteAddress(_) => Phase::Unbind,
            Self::DrainRealServer(..)
            | Self::DeleteRealServer(..)
            | Self::DeleteVirtualServer(_) => Phase::Withdraw,
            Self::DeleteElement(..) => Phase::DeleteElements,
        }
    }

    /// The virtual server that this is about, if any.
    pub const fn frontend(&self) -> Option<Frontend> {
        match self {
            Self::AddVirtualServer(server) | Self::SetVirtualServer(server) => {
                Some(server.frontend)
            }
            Self::AddRealServer(frontend, _)
            | Self::SetRealServer(frontend, _)
            | Self::DrainRealServer(frontend, _)
            | Self::DeleteRealServer(frontend, _)
            | Self::DeleteVirtualServer(frontend) => Some(*frontend),
            Self::AddElement(..)
            | Self::AddAddress(_)
            | Self::DeleteAddress(_)
            | Self::DeleteElement(..) => None,
        }
    }

    /// A word for metrics, such as `add_real_server`.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::AddElement(..) => "add_element",
            Self::AddVirtualServer(_) => "add_virtual_server",
            Self::SetVirtualServer(_) => "set_virtual_server",
            Self::AddRealServer(..) => "add_real_server",
            Self::SetRealServer(..) => "set_real_server",
            Self::AddAddress(_) => "add_address",
            Self::DeleteAddress(_) => "delete_address",
            Self::DrainRealServer(..) => "drain_real_server",
            Self::DeleteRealServer(..) => "delete_real_server",
            Self::DeleteVirtualServer(_) => "delete_virtual_server",
            Self::DeleteElement(..) => "delete_element",
        }
    }
}

/// Says what is done to what, for logs: `add real server 10.244.0.5:8080 to TCP 10.96.1.1:80`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddElement(set, element) => write!(f, "add {element} to ipset {set}"),
            Self::AddVirtualServer(server) => {
                write!(f, "add virtual server {} ({})", server.frontend, server.scheduler)
            }
            Self::SetVirtualServer(server) => {
                write!(f, "change virtual server {} ({})", server.frontend, server.scheduler)
            }
            Self::AddRealServer(frontend, server) => {
                write!(f, "add real server {} to {frontend}", server.key)
            }
            Self::SetRealServer(frontend, server) => {
                write!(f, "change real server {} of {frontend}", server.key)
            }
            Self::AddAddress(address) => write!(f, "bind {address}"),
            Self::DeleteAddress(address) => write!(f, "unbind {address}"),
            Self::DrainRealServer(frontend, server) => {
                write!(f, "drain real server {} of {frontend}", server.key)
            }
            Self::DeleteRealServer(frontend, key) => {
                write!(f, "delete real server {key} of {frontend}")
            }
            Self::DeleteVirtualServer(frontend) => write!(f, "delete virtual server {frontend}"),
            Self::DeleteElement(set, element) => write!(f, "delete {element} from ipset {set}"),
        }
    }
}
