//! Tests Trimtab on a real kernel: networks of namespaces, a cluster in them, and what to read there.

pub mod cluster;
pub mod metrics;
pub mod pod;
pub mod topology;
