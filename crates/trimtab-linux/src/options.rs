//! The part of the configuration that concerns the kernel.

use std::path::PathBuf;
use std::time::Duration;

use trimtab_core::Scheduler;
use trimtab_host::VipBinding;
use trimtab_host::rules::{Backend, RuleSettings};
use trimtab_host::sysctl::{ConntrackOptions, EstimationOptions};

/// How the kernel is prepared and programmed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How VIPs are bound to the node.
    pub vip_binding: VipBinding,
    /// The packet-filter rules.
    pub rules: RuleSettings,
    /// The kind of iptables; `None` for the one that the node already uses.
    pub iptables_backend: Option<Backend>,
    /// Where sysctls are read and written.
    pub sysctl_path: PathBuf,
    /// Whether to answer ARP only for addresses of the interface that receives the request.
    pub strict_arp: bool,
    /// Connection tracking.
    pub conntrack: ConntrackOptions,
    /// How IPVS measures rates.
    pub estimation: EstimationOptions,
    /// IPVS timeouts: TCP, TCP after FIN, UDP; zero keeps the kernel's.
    pub timeouts: [Duration; 3],
    /// The scheduler whose module is loaded ahead of its first virtual server.
    pub scheduler: Scheduler,
    /// log2 of the buckets of IPVS's connection table; `None` for a size that fits the node.
    pub connection_table_bits: Option<u8>,
}
