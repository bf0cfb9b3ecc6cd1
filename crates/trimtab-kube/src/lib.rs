//! Kubernetes objects as values of this project, and Events sent to Kubernetes.
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
//! | [`change`] | changes of objects, as a stream |
//! | [`watch`] | lists and watches of the API server |
//! | [`objects`] | decoding: API objects as slim values, and their problems |
//! | [`manifest`], [`manifests`] | objects from files; from a folder, again whenever it changes |
//! | [`folder`] | detecting changed files |
//! | [`contact`] | contact with the API server |
//! | [`startup_taint`] | removing the taint that keeps pods off a node until it is served |
//! | [`warning`] | warnings to users about problems with their objects |
//! | `protobuf` | reading protobuf |
//! | `error`, `failure` | errors of a source of objects; failures of single requests |
//!
//! Nothing here accesses the kernel or decides what it should hold.

pub mod change;
pub mod contact;
mod error;
mod failure;
pub mod folder;
pub mod manifest;
pub mod manifests;
pub mod objects;
mod protobuf;
pub mod startup_taint;
pub mod warning;
pub mod watch;

pub use change::{Arrival, Change, Kind};
pub use error::Error;
pub use failure::Failure;
pub use protobuf::Malformed;
