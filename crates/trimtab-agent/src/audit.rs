//! The messages of a comparison with the kernel.

use std::net::IpAddr;

use tokio::sync::oneshot;
use trimtab_core::{Frontend, RealServer, SetElement, SetId, VirtualServer};

/// A part of what the kernel holds.
#[derive(Debug)]
pub enum AuditPart {
    /// A look at sets and addresses begins. The auditor reads nothing before the loop answers:
    /// objects that the loop writes after its answer may be newer than what is read, so they are
    /// not compared.
    Begin(oneshot::Sender<()>),
    /// Some elements of a set.
    Elements(SetId, Vec<SetElement>),
    /// There are no more elements in the set.
    EndOfElements(SetId),
    /// Some VIPs on the dummy interface.
    Addresses(Vec<IpAddr>),
    /// There are no more VIPs.
    EndOfAddresses,
    /// Some virtual servers.
    VirtualServers(Vec<VirtualServer>),
    /// There are no more virtual servers.
    EndOfVirtualServers,
    /// The look is complete.
    EndOfLook,
    /// The real servers of some virtual servers.
    RealServers(Vec<(Frontend, Vec<RealServer>)>),
    /// The real servers of all virtual servers have been compared.
    End,
}
