//! The real kernel: IPVS, ipsets, addresses, rules and sysctls as one data plane.

mod apply;
mod observe;
mod prepare;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::watch;
use trimtab_core::Family;
use trimtab_host::{dummy::Dummy, ipset};
use trimtab_netlink::Socket;

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
    dummy: Option<Dummy>,
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
        let ipvs = trimtab_ipvs::Client::connect(&trimtab_ipvs::ModuleOptions::default())?;
        Ok(Self {
            config,
            families,
            pod_networks,
            ipvs,
            batch: trimtab_ipvs::Batch::new(),
            sets: ipset::Client::open()?,
            route: Socket::open(trimtab_netlink::Family::Route)?,
            tracking: Socket::open(trimtab_netlink::Family::Netfilter)?,
            dummy: None,
        })
    }

    /// The families that are programmed.
    pub fn families(&self) -> &[Family] {
        &self.families
    }
}

/// Addresses that the kernel puts on an interface by itself are not VIPs.
fn is_vip(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(six) => !six.is_unicast_link_local(),
    }
}
