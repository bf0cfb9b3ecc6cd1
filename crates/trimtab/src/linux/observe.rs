//! Reading the kernel: for the start, for what looks wrong, and for audits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use ipnet::IpNet;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{
    DUMMY_INTERFACE, Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer,
};
use trimtab_host::{conntrack, dummy, ipset};
use trimtab_netlink::Socket;

use super::binding::bound;
use super::leftovers;
use super::packet_filter::PacketFilters;
use super::prepare;
use super::sysctls::{Sysctls, Which};
use crate::config::Config;
use crate::daemon::{DataPlane, HostCheck, Observer};
use crate::rules::rule_sets;

fn elements(client: &mut ipset::Client, set: SetId) -> anyhow::Result<Vec<SetElement>> {
    Ok(client.list(set.name())?.map(|set| set.elements).unwrap_or_default())
}

fn virtual_servers(ipvs: &mut trimtab_ipvs::Client) -> anyhow::Result<Vec<VirtualServer>> {
    Ok(ipvs.virtual_servers()?.into_iter().map(|observed| observed.server).collect())
}

fn real_servers(
    ipvs: &mut trimtab_ipvs::Client,
    frontend: &Frontend,
) -> anyhow::Result<Vec<RealServer>> {
    Ok(ipvs.real_servers(frontend)?.into_iter().map(|observed| observed.server).collect())
}

impl DataPlane for super::Linux {
    fn prepare(&mut self) -> anyhow::Result<()> {
        self.prepare_host()
    }

    fn remove_leftovers(&mut self) -> anyhow::Result<Vec<String>> {
        let networks = self.pod_networks.borrow().clone();
        let ours = rule_sets(&self.config, &networks, &self.families)?;
        leftovers::remove(self.filters, &ours, &mut self.tracking)
    }

    fn elements(&mut self, set: SetId) -> anyhow::Result<Vec<SetElement>> {
        elements(&mut self.sets, set)
    }

    fn addresses(&mut self) -> anyhow::Result<Vec<IpAddr>> {
        Ok(bound(self.binding.kind(), &mut self.route)?)
    }

    fn set_node_addresses(
        &mut self,
        primary: &[IpAddr],
        local: &[LocalAddress],
    ) -> anyhow::Result<()> {
        let sources = Family::ALL.map(|family| {
            let mut own = primary.iter().filter(|own| Family::of(**own) == family);
            own.find(|own| local.iter().any(|local| local.address == **own)).copied()
        });
        Ok(self.binding.set_sources(&mut self.route, sources)?)
    }

    fn retire_other_binding(&mut self, keep: &HashSet<IpAddr>) -> anyhow::Result<usize> {
        Ok(self.binding.retire_other(&mut self.route, keep)?)
    }

    fn virtual_servers(&mut self) -> anyhow::Result<Vec<VirtualServer>> {
        virtual_servers(&mut self.ipvs)
    }

    fn virtual_server(&mut self, frontend: &Frontend) -> anyhow::Result<Option<VirtualServer>> {
        Ok(self.ipvs.virtual_server(frontend)?.map(|observed| observed.server))
    }

    fn real_servers(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<RealServer>> {
        real_servers(&mut self.ipvs, frontend)
    }

    fn forget_unserved(&mut self, family: Family, frontends: &[Frontend]) -> anyhow::Result<usize> {
        Ok(conntrack::forget_unserved(&mut self.tracking, family, frontends)?)
    }

    fn connections(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<(RealServerKey, u64)>> {
        let observed = self.ipvs.real_servers(frontend)?;
        Ok(observed
            .into_iter()
            .map(|real| {
                let count =
                    u64::from(real.active_connections) + u64::from(real.inactive_connections);
                (real.server.key, count)
            })
            .collect())
    }
}

/// Reads the kernel for audits, on sockets of its own.
#[derive(Debug)]
pub struct KernelReader {
    config: Arc<Config>,
    families: Vec<Family>,
    pod_networks: watch::Receiver<Vec<IpNet>>,
    ipvs: trimtab_ipvs::Client,
    sets: ipset::Client,
    route: Socket,
    sysctls: Arc<Sysctls>,
    filters: PacketFilters,
    netfilter: Socket,
}

impl super::Linux {
    /// A reader for audits, on sockets of its own.
    ///
    /// # Errors
    /// As [`super::Linux::open`].
    pub fn reader(&self) -> anyhow::Result<KernelReader> {
        Ok(KernelReader {
            config: Arc::clone(&self.config),
            families: self.families.clone(),
            pod_networks: self.pod_networks.clone(),
            sysctls: Arc::clone(&self.sysctls),
            filters: self.filters,
            netfilter: Socket::open(trimtab_netlink::Family::Netfilter)?,
            ipvs: trimtab_ipvs::Client::connect(&trimtab_ipvs::ModuleOptions::default())?,
            sets: ipset::Client::open()?,
            route: Socket::open(trimtab_netlink::Family::Route)?,
        })
    }
}

impl KernelReader {
    fn remove_leftovers(&mut self) -> anyhow::Result<Vec<String>> {
        let networks = self.pod_networks.borrow().clone();
        let ours = rule_sets(&self.config, &networks, &self.families)?;
        leftovers::remove(self.filters, &ours, &mut self.netfilter)
    }

    fn check_dummy(&mut self) -> anyhow::Result<Vec<String>> {
        if dummy::find(&mut self.route, DUMMY_INTERFACE)?.is_some() {
            return Ok(Vec::new());
        }
        prepare::dummy(&mut self.route)?;
        Ok(vec![format!("created {DUMMY_INTERFACE} again, which was gone")])
    }
}

impl KernelReader {
    /// Sets come first, as rules cannot be written that match a set that is not there.
    fn check_filter(&mut self, check: &mut HostCheck) {
        check.made_sets = check.part(prepare::sets(&mut self.sets, &self.families));
        let networks = self.pod_networks.borrow().clone();
        check.part(prepare::rules(&self.config, &networks, &self.families, self.filters));
        match self.remove_leftovers() {
            Ok(removed) => check.other_proxy = Some(removed),
            Err(error) => check.failed.push(error),
        }
    }
}

impl Observer for KernelReader {
    fn check_host(&mut self) -> HostCheck {
        let sysctls = self.sysctls.apply(&self.config.sysctl_path, Which::Later);
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

    fn cpu_time(&self) -> Duration {
        // By way of the C library: rustix insists on a vDSO, which not every Linux has.
        let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
        time.map(Duration::from).unwrap_or_default()
    }

    fn elements(&mut self, set: SetId) -> anyhow::Result<Vec<SetElement>> {
        elements(&mut self.sets, set)
    }

    fn addresses(&mut self) -> anyhow::Result<Vec<IpAddr>> {
        Ok(bound(self.config.vip_binding, &mut self.route)?)
    }

    fn virtual_servers(&mut self) -> anyhow::Result<Vec<VirtualServer>> {
        virtual_servers(&mut self.ipvs)
    }

    fn real_servers(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<RealServer>> {
        real_servers(&mut self.ipvs, frontend)
    }
}
