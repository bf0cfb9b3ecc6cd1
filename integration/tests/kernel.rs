//! What only a kernel with IPVS can show. `cargo xtask test` runs these in a guest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "kernel/agreement.rs"]
mod agreement;
#[path = "kernel/counts.rs"]
mod counts;
#[path = "kernel/health_check.rs"]
mod health_check;
#[path = "kernel/kernel_limits.rs"]
mod kernel_limits;
#[path = "kernel/node_weights.rs"]
mod node_weights;
#[path = "kernel/restart.rs"]
mod restart;
#[path = "kernel/sources.rs"]
mod sources;
#[path = "kernel/topology.rs"]
mod topology;
#[path = "kernel/traffic.rs"]
mod traffic;
#[path = "kernel/vip_binding.rs"]
mod vip_binding;
