//! The client on a real kernel, checked with `ipvsadm`.
//!
//! Every test has a network namespace of its own. Without root on a kernel with IPVS they fail.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that it did not expect")]

mod balance;
mod capabilities;
mod changes;
mod counts;
mod failures;
mod ipvsls;
mod listing;
mod module;
mod namespace;
mod options;
mod settings;
mod traffic;
