//! Everything in the kernel that Trimtab programs besides IPVS.
//!
//! | module | what it programs | how |
//! |---|---|---|
//! | [`dummy`] | the dummy interface and the VIPs on it | rtnetlink, batched |
//! | [`local_route`] | VIPs bound by routes instead | rtnetlink, batched |
//! | [`address`] | the node's addresses | rtnetlink |
//! | [`route_monitor`], [`rules::RuleMonitor`] | nothing: notifications of changes | netlink multicast |
//! | [`ipset`] | the sets that the rules match | netfilter netlink, batched |
//! | [`conntrack`] | UDP flows that are older than their virtual server | netfilter netlink |
//! | [`rules`] | a constant set of packet-filter rules | iptables-save, iptables-restore |
//! | [`nftables`] | tables that kube-proxy's nftables mode left | netfilter netlink |
//! | [`capability`], [`modules`] | the process's capabilities, and kernel modules | /proc, modprobe |
//! | [`sysctl`], [`kernel_version`] | kernel settings | /proc/sys |
//! | [`cpu_list`] | nothing: the machine's CPUs | /sys |
//! | `vip_binding`, `applied`, `error` | values of all of these | |
//! | `link`, `subscription` | parts of these: interfaces, notifications | rtnetlink, netlink multicast |
//!
//! The kernel objects have kube-proxy's names, so that either program can take a node over from the
//! other. Functions that change many objects take a slice and report which failed ([`Applied`]); a
//! failure never stops the rest. All functions block, briefly, except the monitors, which are
//! async.
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
