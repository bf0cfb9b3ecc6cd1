//! What of the configuration concerns the kernel.

use std::path::PathBuf;
use std::time::Duration;

use trimtab_core::Scheduler;
use trimtab_host::VipBinding;
use trimtab_host::rules::{Backend, RuleSettings};
use trimtab_host::sysctl::{ConntrackOptions, EstimationOptions};

/// How the kernel is prepared and programmed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the kernel is told that a VIP is this node's.
    pub vip_binding: VipBinding,
    /// The packet-filter rules.
    pub rules: RuleSettings,
    /// The kind of iptables; `None` for the one that the node uses already.
    pub iptables_backend: Option<Backend>,
    /// Where sysctls are read and written.
    pub sysctl_path: PathBuf,
    /// Answer ARP only for addresses of the interface that was asked.
    pub strict_arp: bool,
    /// Connection tracking.
    pub conntrack: ConntrackOptions,
    /// IPVS's measuring of rates.
    pub estimation: EstimationOptions,
    /// IPVS timeouts: TCP, TCP after FIN, UDP; zero leaves the kernel's.
    pub timeouts: [Duration; 3],
    /// The scheduler whose module is loaded ahead of its first virtual server.
    pub scheduler: Scheduler,
    /// log2 of the buckets of IPVS's connection table; `None` for a size that fits the node.
    pub connection_table_bits: Option<u8>,
}
