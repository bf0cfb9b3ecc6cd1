//! What only a kernel with IPVS can show. `cargo xtask test` runs these in a guest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "kernel/agreement.rs"]
mod agreement;
#[path = "kernel/bad_input.rs"]
mod bad_input;
#[path = "kernel/counts.rs"]
mod counts;
#[path = "kernel/once.rs"]
mod once;
#[path = "kernel/restart.rs"]
mod restart;
#[path = "kernel/sources.rs"]
mod sources;
#[path = "kernel/takeover.rs"]
mod takeover;
#[path = "kernel/topology.rs"]
mod topology;
#[path = "kernel/traffic.rs"]
mod traffic;
