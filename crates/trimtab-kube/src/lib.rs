//! What Kubernetes knows, as values of this project; and what it is told.
//!
//! ```text
//! API server ──► watch ─────┐
//!                           ├──► objects ──► Change, in arrivals
//! files ──► manifest(s) ────┘
//!
//! Warnings ──► Board ──► Publisher ──► Events, by the API server
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`change`] | what becomes known of objects, as a stream |
//! | [`watch`] | lists and watches of the API server |
//! | [`objects`] | decoding: API objects as slim values, and what is wrong with them |
//! | [`manifest`], [`manifests`] | objects from files; from a folder, again whenever it changes |
//! | [`folder`] | noticing that files changed |
//! | [`contact`] | whether the API server is heard |
//! | [`warning`] | what people are told is wrong with their objects |
//!
//! Nothing here knows the kernel or decides what it should hold.

pub mod change;
pub mod contact;
mod error;
mod failure;
pub mod folder;
pub mod manifest;
pub mod manifests;
pub mod objects;
pub mod warning;
pub mod watch;

pub use change::{Arrival, Change, Kind};
pub use error::Error;
pub use failure::Failure;
