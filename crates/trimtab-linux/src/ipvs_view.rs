//! Looking at IPVS: what it holds, with its connections.

use trimtab_core::{Counters, Frontend, RealServer, VirtualServer};
use trimtab_ipvs::{Client, Error, ModuleError};

use crate::inspector::ipvs_as_found;
use crate::meter::counters;

/// IPVS of the network namespace in which this was opened, to look at.
#[derive(Debug)]
pub struct IpvsView {
    client: Client,
}

/// A real server and its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRealServer {
    /// How the kernel has it.
    pub server: RealServer,
    /// Connections in the protocol's established state.
    pub active: u32,
    /// Connections in every other state.
    pub inactive: u32,
}

impl IpvsView {
    /// Opens a socket, and loads no module.
    ///
    /// # Errors
    /// If the kernel has no IPVS, or its module is not loaded.
    pub fn open() -> Result<Self, Error> {
        let client = ipvs_as_found()?.ok_or(ModuleError::NotLoaded)?;
        Ok(Self { client })
    }

    /// All virtual servers, ours and others', in order.
    ///
    /// # Errors
    /// If they cannot be read, which needs `CAP_NET_ADMIN`.
    pub fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, Error> {
        let found = self.client.virtual_servers()?;
        let mut servers: Vec<_> = found.into_iter().map(|observed| observed.server).collect();
        servers.sort_unstable_by_key(|server| server.frontend);
        Ok(servers)
    }

    /// What the kernel has counted for each virtual server: one request.
    ///
    /// # Errors
    /// As [`IpvsView::virtual_servers`].
    pub fn counters(&mut self) -> Result<Vec<(Frontend, Counters)>, Error> {
        let found = self.client.virtual_server_stats()?;
        Ok(found.into_iter().map(|(frontend, stats)| (frontend, counters(&stats))).collect())
    }

    /// The real servers of a virtual server, in order; none if it does not exist.
    ///
    /// # Errors
    /// As [`IpvsView::virtual_servers`].
    pub fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<CountedRealServer>, Error> {
        let found = self.client.real_servers(frontend)?;
        let counted = found.into_iter().map(|observed| CountedRealServer {
            server: observed.server,
            active: observed.active_connections,
            inactive: observed.inactive_connections,
        });
        let mut counted: Vec<_> = counted.collect();
        counted.sort_unstable_by_key(|counted| counted.server.key);
        Ok(counted)
    }
}
