//! Reads the kernel: on the loop's sockets, and, for comparisons, on sockets of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;
use trimtab_core::{
    DUMMY_INTERFACE, Family, Frontend, RealServer, SetElement, SetId, VirtualServer,
};
use trimtab_host::{dummy, ipset};
use trimtab_ipvs::OptionReader;
use trimtab_netlink::Socket;
use trimtab_reconcile::ports::{Auditing, HostCheck, Observer, PortError};

use super::binding::{Sources, well_bound};
use super::connection_table::module_options;
use super::filter_looks::FilterLooks;
use super::ipvs::Ipvs;
use super::meter::thread_cpu_time;
use super::packet_filter::PacketFilters;
use super::prepare;
use super::sysctls::{Sysctls, Which};
use crate::error::Error;
use crate::options::Options;

pub(super) fn elements(
    client: &mut ipset::Client,
    set: SetId,
) -> Result<Vec<SetElement>, PortError> {
    Ok(client.list(set.name())?.map(|set| set.elements).unwrap_or_default())
}

pub(super) fn virtual_servers(ipvs: &mut Ipvs) -> Result<Vec<VirtualServer>, PortError> {
    let found = ipvs.ask(trimtab_ipvs::Client::virtual_servers)?;
    Ok(found.into_iter().map(|observed| observed.server).collect())
}

/// The real servers of a virtual server, by the cheapest interface that can tell.
pub(super) fn real_servers(
    ipvs: &mut Ipvs,
    options: &mut OptionReader,
    frontend: &Frontend,
) -> Result<Vec<RealServer>, PortError> {
    // Netlink says more about an error, and looks IPVS up again.
    if let Ok(Some(found)) = options.real_servers(frontend) {
        return Ok(found.into_iter().map(|counted| counted.server).collect());
    }
    let found = ipvs.ask(|ipvs| ipvs.real_servers(frontend))?;
    Ok(found.into_iter().map(|observed| observed.server).collect())
}

/// Reads the kernel for audits, on sockets of its own.
#[derive(Debug)]
pub struct KernelReader {
    options: Arc<Options>,
    families: Vec<Family>,
    pod_networks: watch::Receiver<Vec<IpNet>>,
    sources: watch::Receiver<Sources>,
    ipvs: Ipvs,
    ipvs_options: OptionReader,
    sets: ipset::Client,
    route: Socket,
    sysctls: Arc<Sysctls>,
    filters: PacketFilters,
    netfilter: Socket,
    filter_looks: FilterLooks,
}

impl super::Linux {
    /// A reader for audits, on sockets of its own.
    ///
    /// # Errors
    /// As [`super::Linux::open`].
    pub fn reader(&self) -> Result<KernelReader, Error> {
        Ok(KernelReader {
            options: Arc::clone(&self.options),
            families: self.families.clone(),
            pod_networks: self.pod_networks.clone(),
            sources: self.binding.sources(),
            sysctls: Arc::clone(&self.sysctls),
            filters: self.filters,
            netfilter: Socket::open(trimtab_netlink::Family::Netfilter)?,
            filter_looks: FilterLooks::default(),
            ipvs: Ipvs::connect(module_options(&self.options))?,
            ipvs_options: OptionReader::open()?,
            sets: ipset::Client::open()?,
            route: Socket::open(trimtab_netlink::Family::Route)?,
        })
    }
}

impl KernelReader {
    fn check_dummy(&mut self) -> Result<Vec<String>, Error> {
        if dummy::find(&mut self.route, DUMMY_INTERFACE)?.is_some() {
            return Ok(Vec::new());
        }
        prepare::dummy(&mut self.route)?;
        Ok(vec![format!("recreated {DUMMY_INTERFACE}, which was missing")])
    }

    /// Sets come first, because a rule that matches a missing set cannot be written.
    fn check_filter(&mut self, check: &mut HostCheck) {
        check.made_sets = check.part(prepare::sets(&mut self.sets, &self.families));
        let networks = self.pod_networks.borrow().clone();
        let ours = match self.options.rules.rule_sets(&networks, &self.families) {
            Ok(ours) => ours,
            Err(error) => return check.failed.push(error.into()),
        };
        self.filter_looks.look(self.filters, &ours, &mut self.netfilter, check);
    }
}

impl Observer for KernelReader {
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError> {
        elements(&mut self.sets, set)
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        let sources = *self.sources.borrow();
        Ok(well_bound(self.options.vip_binding, sources, &mut self.route)?)
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        virtual_servers(&mut self.ipvs)
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        real_servers(&mut self.ipvs, &mut self.ipvs_options, frontend)
    }
}

impl Auditing for KernelReader {
    fn check_host(&mut self) -> HostCheck {
        let sysctls = self.sysctls.apply(&self.options.sysctl_path, Which::Later);
        let mut check = HostCheck { repaired: sysctls, ..HostCheck::default() };
        check.part(self.check_dummy());
        self.check_filter(&mut check);
        check
    }

    fn check_interface(&mut self) -> HostCheck {
        let mut check = HostCheck::default();
        check.part(self.check_dummy());
        check
    }

    fn check_rules(&mut self) -> HostCheck {
        let mut check = HostCheck::default();
        self.check_filter(&mut check);
        check
    }

    fn virtual_server_count(&mut self) -> Option<usize> {
        self.ipvs_options.virtual_server_count().ok()
    }

    fn cpu_time(&self) -> Duration {
        thread_cpu_time()
    }
}
