//! What the crate does to a real kernel, looked at through `ip`, `ipset` and `iptables-save`.
//!
//! Every test has network namespaces of its own. Without root on a kernel with IPVS they fail.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that it did not expect")]

mod addresses;
mod cluster;
mod conntrack;
mod dummy;
mod inside;
mod ipset;
mod ipset_sizes;
mod local_route;
mod namespace;
mod packets;
mod rule_monitor;
mod rules;
mod sysctl;
mod traced;
