//! What only a kernel with IPVS can show. `cargo xtask test` runs these in a guest.

#[path = "kernel/topology.rs"]
mod topology;
