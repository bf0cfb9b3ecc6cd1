//! Proves Trimtab on a real kernel.

pub mod topology;
