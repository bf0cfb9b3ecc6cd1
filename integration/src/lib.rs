//! Proves Trimtab on a real kernel.

pub mod cluster;
pub mod pod;
pub mod topology;
