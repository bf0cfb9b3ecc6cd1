//! What a daemon needs of a kernel besides carrying plans out: reading it, and preparing the host.
//!
//! Linux implements these, and so do the fakes of tests; the loop that drives a [`crate::Reconciler`]
//! knows nothing else of a kernel. Calls block for as long as the kernel takes.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashSet;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{
    Counters, Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer,
};

use crate::execute::Kernel;
use crate::reconciler::Reconciler;

/// Why a kernel could not be read or prepared, in words that name the object and the cause.
pub type PortError = Box<dyn Error + Send + Sync>;

/// Reads what the kernel holds.
pub trait Observer {
    /// The elements of one set; none if there is no such set.
    ///
    /// # Errors
    /// When the set cannot be read.
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError>;

    /// The VIPs that are bound to the node, by addresses on the dummy interface or by routes.
    ///
    /// # Errors
    /// When they cannot be read.
    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError>;

    /// All virtual servers.
    ///
    /// # Errors
    /// When they cannot be read.
    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError>;

    /// The real servers of one virtual server; none if there is no such virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError>;
}

/// A kernel that can be programmed and read.
pub trait DataPlane: Kernel + Observer {
    /// Makes everything that does not depend on Services: modules, sysctls, the dummy interface,
    /// sets and rules. Changes only what differs.
    ///
    /// # Errors
    /// The first step that failed, with its remedy.
    fn prepare(&mut self) -> Result<(), PortError>;

    /// Removes what kube-proxy left in its other modes, to be called once IPVS serves; what was
    /// removed, in words.
    ///
    /// # Errors
    /// When it cannot be found or removed.
    fn remove_leftovers(&mut self) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    /// Takes note of the node's addresses: `primary` as its Node object has them, `local` on its
    /// interfaces.
    ///
    /// # Errors
    /// When what depends on them cannot be put right.
    fn set_node_addresses(
        &mut self,
        _primary: &[IpAddr],
        _local: &[LocalAddress],
    ) -> Result<(), PortError> {
        Ok(())
    }

    /// Lets go of VIPs that an earlier configuration bound another way, except those in `keep`; how
    /// many. To be called when all others that are wanted are bound this way.
    ///
    /// # Errors
    /// When they cannot be read or let go.
    fn retire_other_binding(&mut self, _keep: &HashSet<IpAddr>) -> Result<usize, PortError> {
        Ok(0)
    }

    /// One virtual server; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn virtual_server(&mut self, frontend: &Frontend) -> Result<Option<VirtualServer>, PortError>;

    /// Whether IPVS has lost all that it held since this was last asked, because its module was
    /// loaded again: then everything is to be read.
    fn take_renewed(&mut self) -> bool {
        false
    }

    /// Deletes conntrack entries of one family for datagrams to these frontends that nobody
    /// translated: those from before the frontends were served. Returns how many there were.
    ///
    /// # Errors
    /// When the kernel's connection tracking cannot be read or changed.
    fn forget_unserved(
        &mut self,
        family: Family,
        frontends: &[Frontend],
    ) -> Result<usize, PortError>;

    /// The connections, active and inactive, of each real server of a virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn connections(&mut self, frontend: &Frontend) -> Result<Vec<(RealServerKey, u64)>, PortError>;
}

/// What a host's kernel tells of by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostNews {
    /// The addresses of the node's interfaces, the dummy interface left out: at first, and whenever
    /// they changed.
    LocalAddresses(Vec<LocalAddress>),
    /// VIPs that were unbound, by us or by somebody else.
    Unbound(Vec<IpAddr>),
}

/// Reads the kernel for comparisons, beside the loop that programs it.
pub trait Auditing: Observer {
    /// Makes sure of what does not depend on Services: sysctls, the dummy interface, sets, rules.
    fn check_host(&mut self) -> HostCheck;

    /// Of that, makes sure of the dummy interface.
    fn check_interface(&mut self) -> HostCheck;

    /// Of that, makes sure of the rules and of the sets that they match.
    fn check_rules(&mut self) -> HostCheck;

    /// A number of virtual servers that is cheap to read, not necessarily of all of them, and falls
    /// if many are deleted; `None` if it cannot be read.
    fn virtual_server_count(&mut self) -> Option<usize>;

    /// The processor time that this thread has taken so far.
    fn cpu_time(&self) -> Duration;
}

/// Reads what the kernel counts, beside the loop that programs it.
pub trait Metering {
    /// The counters of all virtual servers, in one request.
    ///
    /// # Errors
    /// When they cannot be read.
    fn virtual_server_counters(&mut self) -> Result<Vec<(Frontend, Counters)>, PortError>;

    /// The counters of the real servers of one virtual server, in one request; none if there is no
    /// such virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn real_server_counters(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Vec<RealServerCounters>, PortError>;

    /// The processor time that this thread has taken so far.
    fn cpu_time(&self) -> Duration;
}

/// What the kernel counts of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealServerCounters {
    /// Its address and port.
    pub key: RealServerKey,
    /// Its traffic.
    pub counters: Counters,
    /// Connections in the protocol's established state.
    pub active: u32,
    /// Connections in every other state.
    pub inactive: u32,
}

/// What became of a look at what does not depend on Services.
#[derive(Debug, Default)]
pub struct HostCheck {
    /// What was put right, in words.
    pub repaired: Vec<String>,
    /// What could not be read or put right.
    pub failed: Vec<PortError>,
    /// What another service proxy wrote since the last look, and what was removed of it, in words;
    /// `None` if nobody looked.
    pub other_proxy: Option<Vec<String>>,
    /// Whether sets were made, which have no elements yet.
    pub made_sets: bool,
}

impl HostCheck {
    /// Takes in what became of one part; no part stops another. Returns whether something was put
    /// right.
    pub fn part<E: Into<PortError>>(&mut self, outcome: Result<Vec<String>, E>) -> bool {
        match outcome {
            Ok(repaired) => {
                let any = !repaired.is_empty();
                self.repaired.extend(repaired);
                any
            }
            Err(error) => {
                self.failed.push(error.into());
                false
            }
        }
    }
}

/// Reads all that is ours, so that the reconciler knows what the kernel holds, whatever it knew. Sets
/// come first: they say which virtual servers are ours.
///
/// # Errors
/// What could not be read.
pub fn adopt(reconciler: &mut Reconciler, kernel: &mut impl Observer) -> Result<(), PortError> {
    for set in SetId::all() {
        let elements = kernel.elements(set)?;
        reconciler.observe_elements(set, elements);
    }
    let addresses = kernel.addresses()?;
    reconciler.observe_addresses(addresses);
    let mut gone: HashSet<Frontend> = reconciler.known_frontends().collect();
    for server in kernel.virtual_servers()? {
        gone.remove(&server.frontend);
        reconciler.observe_virtual_server(server.frontend, Some(&server));
    }
    for frontend in gone {
        reconciler.observe_virtual_server(frontend, None);
    }
    let ours: Vec<Frontend> = reconciler.known_frontends().collect();
    for frontend in ours {
        let servers = kernel.real_servers(&frontend)?;
        reconciler.observe_real_servers(frontend, servers);
    }
    Ok(())
}
