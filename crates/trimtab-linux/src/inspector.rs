//! Reads the kernel as it is, and changes nothing: not even a module is loaded.

use std::net::IpAddr;
use std::path::Path;

use trimtab_core::{DUMMY_INTERFACE, Frontend, RealServer, SetElement, SetId, VirtualServer};
use trimtab_host::capability::Capability;
use trimtab_host::{VipBinding, dummy, ipset};
use trimtab_ipvs::{Client, ModuleOptions};
use trimtab_netlink::Socket;
use trimtab_reconcile::ports::{Observer, PortError};

use crate::binding::bound;
use crate::error::Error;

/// Where the kernel shows the modules that it has. Both have a parameter, so they are also shown if
/// they are built in.
const IPVS: &str = "/sys/module/ip_vs";
const IPSET: &str = "/sys/module/ip_set";

/// A client of IPVS; `None` if the kernel does not have it at present. Asking would load it.
pub(super) fn ipvs_as_found() -> Result<Option<Client>, trimtab_ipvs::Error> {
    Path::new(IPVS).exists().then(|| Client::connect(&ModuleOptions::never())).transpose()
}

/// Reads the kernel on sockets of its own. What the kernel has no module for does not exist.
#[derive(Debug)]
pub struct Inspector {
    binding: VipBinding,
    ipvs: Option<Client>,
    sets: Option<ipset::Client>,
    route: Socket,
}

impl Inspector {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When the process lacks `CAP_NET_ADMIN` or `CAP_NET_RAW`, or the kernel refuses a socket.
    pub fn open(binding: VipBinding) -> Result<Self, Error> {
        if let Some(capability) = Capability::first_missing() {
            return Err(Error::Capability(capability));
        }
        let sets = Path::new(IPSET).exists().then(ipset::Client::open).transpose()?;
        let route = Socket::open(trimtab_netlink::Family::Route)?;
        Ok(Self { binding, ipvs: ipvs_as_found()?, sets, route })
    }

    /// Whether the kernel has IPVS at present.
    pub fn has_ipvs(&self) -> bool {
        self.ipvs.is_some()
    }

    /// Whether a set exists.
    ///
    /// # Errors
    /// When the kernel's sets cannot be read.
    pub fn has_set(&mut self, set: SetId) -> Result<bool, Error> {
        let Some(sets) = &mut self.sets else { return Ok(false) };
        Ok(sets.list(set.name())?.is_some())
    }

    /// Whether the dummy interface exists.
    pub(super) fn has_dummy(&mut self) -> Result<bool, Error> {
        Ok(dummy::find(&mut self.route, DUMMY_INTERFACE)?.is_some())
    }
}

impl Observer for Inspector {
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError> {
        let Some(sets) = &mut self.sets else { return Ok(Vec::new()) };
        super::reader::elements(sets, set)
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        Ok(bound(self.binding, &mut self.route)?)
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        let Some(ipvs) = &mut self.ipvs else { return Ok(Vec::new()) };
        Ok(ipvs.virtual_servers()?.into_iter().map(|observed| observed.server).collect())
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        let Some(ipvs) = &mut self.ipvs else { return Ok(Vec::new()) };
        Ok(ipvs.real_servers(frontend)?.into_iter().map(|observed| observed.server).collect())
    }
}
