//! The real kernel: IPVS, ipsets, addresses, rules and sysctls as one data plane.

mod apply;
mod binding;
mod connection_table;
mod data_plane;
mod difference;
mod error;
mod filter_looks;
mod follow;
pub mod host;
mod inspector;
mod ipvs;
mod ipvs_view;
mod known_addresses;
mod leftovers;
pub mod messages;
mod meter;
mod options;
mod packet_filter;
mod preflight;
mod prepare;
mod reader;
mod sysctls;

use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::watch;
use trimtab_core::Family;
use trimtab_host::capability::Capability;
use trimtab_host::ipset;
use trimtab_netlink::Socket;

use self::binding::Binding;
use self::ipvs::Ipvs;
use self::sysctls::Sysctls;

pub use difference::differences;
pub use error::Error;
pub use follow::{follow_host, follow_rules};
pub use inspector::Inspector;
pub use ipvs_view::{CountedRealServer, IpvsView};
pub use meter::KernelMeter;
pub use options::Options;
pub use packet_filter::PacketFilters;
pub use preflight::{Preflight, WrongSysctl};
pub use prepare::init;
pub use reader::KernelReader;
pub use trimtab_ipvs::Error as IpvsError;

/// Linux, through netlink sockets of its own.
#[derive(Debug)]
pub struct Linux {
    options: Arc<Options>,
    families: Vec<Family>,
    pod_networks: watch::Receiver<Vec<IpNet>>,
    ipvs: Ipvs,
    ipvs_options: trimtab_ipvs::OptionReader,
    batch: trimtab_ipvs::Batch,
    sets: ipset::Client,
    route: Socket,
    tracking: Socket,
    binding: Binding,
    sysctls: Arc<Sysctls>,
    filters: PacketFilters,
}

impl Linux {
    /// Opens the sockets and loads the ip_vs module if it is missing.
    ///
    /// # Errors
    /// When the kernel lacks IPVS or ipset, the process lacks `CAP_NET_ADMIN` or `CAP_NET_RAW`, or
    /// the configured path of the sysctls is not a directory.
    pub fn open(
        options: Arc<Options>,
        families: Vec<Family>,
        pod_networks: watch::Receiver<Vec<IpNet>>,
        filters: PacketFilters,
    ) -> Result<Self, Error> {
        if let Some(capability) = Capability::first_missing() {
            return Err(Error::Capability(capability));
        }
        let ipvs = Ipvs::connect(connection_table::module_options(&options))?;
        Ok(Self {
            sysctls: Arc::new(Sysctls::new(&options)?),
            binding: Binding::new(options.vip_binding),
            options,
            filters,
            families,
            pod_networks,
            ipvs,
            ipvs_options: trimtab_ipvs::OptionReader::open()?,
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
