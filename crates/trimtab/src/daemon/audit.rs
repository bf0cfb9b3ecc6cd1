//! What a comparison with the kernel consists of.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use trimtab_core::{Frontend, RealServer, SetElement, SetId, VirtualServer};

/// A part of what the kernel holds.
#[derive(Debug)]
pub enum AuditPart {
    /// A look at sets and addresses begins. Nothing is read before the answer: what is written after
    /// it may be newer than what is read, and is not judged by that.
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

/// What became of a look at what does not depend on Services.
#[derive(Debug, Default)]
pub struct HostCheck {
    /// What was put right, in words.
    pub repaired: Vec<String>,
    /// What could not be read or put right.
    pub failed: Vec<anyhow::Error>,
    /// What another service proxy wrote since the last look, and what was removed of it, in words;
    /// `None` if nobody looked.
    pub other_proxy: Option<Vec<String>>,
    /// Whether sets were made, which have no elements yet.
    pub made_sets: bool,
}

impl HostCheck {
    /// Takes in what became of one part; no part stops another. Returns whether something was put
    /// right.
    pub fn part(&mut self, outcome: anyhow::Result<Vec<String>>) -> bool {
        match outcome {
            Ok(repaired) => {
                let any = !repaired.is_empty();
                self.repaired.extend(repaired);
                any
            }
            Err(error) => {
                self.failed.push(error);
                false
            }
        }
    }
}

/// Reads the kernel, on sockets of its own.
pub trait Observer {
    /// Makes sure of what does not depend on Services: sysctls, the dummy interface, sets, rules.
    fn check_host(&mut self) -> HostCheck;

    /// Of that, makes sure of the dummy interface.
    fn check_interface(&mut self) -> HostCheck;

    /// Of that, makes sure of the rules and of the sets that they match.
    fn check_rules(&mut self) -> HostCheck;

    /// The processor time that this thread has taken so far.
    fn cpu_time(&self) -> Duration;

    /// The elements of one set.
    ///
    /// # Errors
    /// When the set cannot be read.
    fn elements(&mut self, set: SetId) -> anyhow::Result<Vec<SetElement>>;

    /// The VIPs on the dummy interface.
    ///
    /// # Errors
    /// When they cannot be read.
    fn addresses(&mut self) -> anyhow::Result<Vec<IpAddr>>;

    /// All virtual servers.
    ///
    /// # Errors
    /// When they cannot be read.
    fn virtual_servers(&mut self) -> anyhow::Result<Vec<VirtualServer>>;

    /// The real servers of one virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn real_servers(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<RealServer>>;
}
