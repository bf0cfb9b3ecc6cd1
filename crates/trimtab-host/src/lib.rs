//! Everything in the kernel that Trimtab programs besides IPVS.
//!
//! | module | what it programs | how |
//! |---|---|---|
//! | [`dummy`] | the dummy interface and the VIPs on it | rtnetlink, batched |
//! | [`local_route`] | VIPs bound by routes instead | rtnetlink, batched |
//! | [`address`] | the node's addresses | rtnetlink |
//! | [`route_monitor`], [`rules::RuleMonitor`] | nothing: word of what changes | netlink multicast |
//! | [`ipset`] | the sets that the rules match | netfilter netlink, batched |
//! | [`conntrack`] | UDP flows that are older than their virtual server | netfilter netlink |
//! | [`rules`] | a constant set of packet-filter rules | iptables-save, iptables-restore |
//! | [`nftables`] | tables that kube-proxy's nftables mode left | netfilter netlink |
//! | [`capability`], [`modules`] | the process's capabilities, and kernel modules | /proc, modprobe |
//! | [`sysctl`], [`kernel_version`] | kernel settings | /proc/sys |
//!
//! The kernel objects have kube-proxy's names, so that either can take a node over from the other.
//! Whatever changes many things takes a slice of them and reports which failed ([`Applied`]); a
//! refusal never stops the rest. All of it blocks, briefly, but for the monitors, which are async.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use trimtab_core::{DUMMY_INTERFACE, SetElement, SetId};
//! use trimtab_host::{dummy, ipset};
//! use trimtab_netlink::{Family, Socket};
//!
//! let mut socket = Socket::open(Family::Route)?;
//! let applied = dummy::ensure(&mut socket, DUMMY_INTERFACE)?
//!     .add(&mut socket, &["10.96.0.1".parse()?, "fd00:96::1".parse()?])?;
//! for failed in applied.failed {
//!     eprintln!("{}", failed.error);
//! }
//!
//! let mut client = ipset::Client::open()?;
//! let sets: Vec<_> = SetId::all().map(|set| ipset::SetSpec::of(set, 0)).collect();
//! for outcome in ipset::ensure(&mut client, &sets)? {
//!     outcome?;
//! }
//! # Ok(())
//! # }
//! ```

pub mod address;
mod applied;
pub mod capability;
pub mod conntrack;
pub mod cpu_list;
pub mod dummy;
mod error;
pub mod ipset;
pub mod kernel_version;
mod link;
pub mod local_route;
pub mod modules;
pub mod nftables;
pub mod route_monitor;
pub mod rules;
mod subscription;
pub mod sysctl;
mod vip_binding;

pub use applied::{Applied, Failed};
pub use error::Error;
pub use vip_binding::VipBinding;
