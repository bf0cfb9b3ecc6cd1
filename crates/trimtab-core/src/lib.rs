//! The words that every part of Trimtab shares, as plain values.
//!
//! Nothing here does I/O, knows a wire format or reads a clock. The names are the field's: a
//! *virtual server* is what clients connect to (the kernel's "service"), a *real server* is what
//! answers (the kernel's "destination"), a *frontend* is what makes a virtual server unique.
//!
//! | module | what it names |
//! |---|---|
//! | [`counters`] | traffic of a virtual or real server |
//! | [`duration`] | times as Go and Kubernetes write them |
//! | [`family`], [`protocol`] | IPv4 or IPv6; TCP, UDP or SCTP |
//! | [`virtual_server`] | [`Frontend`], [`VirtualServer`], [`Persistence`] |
//! | [`real_server`] | [`RealServer`], [`ForwardingMethod`], [`Tunnel`] |
//! | [`scheduler`] | the kernel's schedulers and their flags |
//! | [`ipset`] | the 17 sets of the IPVS mode, two of our own, and their elements |
//! | [`mark`] | which firewall marks virtual servers may have |
//! | [`objects`] | what the API server knows: Services, EndpointSlices, the node |
//! | [`printable`] | text from strangers, safe to print |
//! | [`stable_hash`] | a hash that every process and every version agrees on |

pub mod counters;
pub mod duration;
pub mod family;
pub mod ipset;
pub mod mark;
pub mod objects;
pub mod printable;
pub mod protocol;
pub mod real_server;
pub mod scheduler;
pub mod stable_hash;
pub mod virtual_server;

pub use counters::Counters;
pub use family::Family;
pub use ipset::{SetElement, SetId, SetKind, SetType};
pub use mark::MarkRange;
pub use printable::Printable;
pub use protocol::Protocol;
pub use real_server::{ForwardingMethod, RealServer, RealServerKey, Tunnel, TunnelKind};
pub use scheduler::{Scheduler, SchedulerName};
pub use stable_hash::StableHash;
pub use virtual_server::{Frontend, Persistence, VirtualServer, VirtualServerFlags};

/// The dummy interface that carries the VIPs, the name kube-proxy gives it.
pub const DUMMY_INTERFACE: &str = "kube-ipvs0";

/// The README's example is compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
