//! The real kernel: IPVS, ipsets, addresses, rules and sysctls as one data plane.

mod apply;
mod binding;
mod connection_table;
pub mod messages;
mod observe;
mod prepare;

use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::watch;
use trimtab_core::Family;
use trimtab_host::ipset;
use trimtab_netlink::Socket;

use self::binding::Binding;
use crate::config::Config;

pub use observe::KernelReader;

/// Linux, through netlink sockets of its own.
#[derive(Debug)]
pub struct Linux {
    config: Arc<Config>,
    families: Vec<Family>,
    pod_networks: watch::Receiver<Vec<IpNet>>,
    ipvs: trimtab_ipvs::Client,
    batch: trimtab_ipvs::Batch,
    sets: ipset::Client,
    route: Socket,
    tracking: Socket,
    binding: Binding,
}

impl Linux {
    /// Opens the sockets and loads the ip_vs module if it is missing.
    ///
    /// # Errors
    /// When the kernel lacks IPVS or ipset, or the process lacks `CAP_NET_ADMIN`.
    pub fn open(
        config: Arc<Config>,
        families: Vec<Family>,
        pod_networks: watch::Receiver<Vec<IpNet>>,
    ) -> anyhow::Result<Self> {
        let ipvs = trimtab_ipvs::Client::connect(&connection_table::module_options(&config))?;
        Ok(Self {
            binding: Binding::new(config.vip_binding),
            config,
            families,
            pod_networks,
            ipvs,
            batch: trimtab_ipvs::Batch::new(),
            sets: ipset::Client::open()?,
            route: Socket::open(trimtab_netlink::Family::Route)?,
            tracking: Socket::open(trimtab_netlink::Family::Netfilter)?,
        })
    }

    /// The families that are programmed.
    pub fn families(&self) -> &[Family] {
        &self.families
    }
}
