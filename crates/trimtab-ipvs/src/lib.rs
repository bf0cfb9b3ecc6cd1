//! The kernel's IPVS load balancer over generic netlink: the whole family, in batches.
//!
//! ```no_run
//! use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey, Scheduler, VirtualServer};
//! use trimtab_ipvs::{Batch, Client, ModuleOptions};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut client = Client::connect(&ModuleOptions::default())?;
//!
//!     // Any number of operations, in a handful of system calls.
//!     let frontend = Frontend::new(Protocol::Tcp, "10.96.0.10".parse()?, 80);
//!     let wanted = VirtualServer::new(frontend, Scheduler::RoundRobin);
//!     let mut batch = Batch::new();
//!     batch.add_virtual_server(&wanted);
//!     for address in ["10.244.0.5", "10.244.1.7"] {
//!         let key = RealServerKey::new(address.parse()?, 8080);
//!         batch.add_real_server(&frontend, &RealServer::masqueraded(key));
//!     }
//!     let report = client.apply(&mut batch)?;
//!     for failure in &report.failures {
//!         // An operation that the kernel refused stops no other; its error number says why.
//!         if failure.refusal.errno.is_exists() {
//!             continue;
//!         }
//!         eprintln!("{}", batch.explain(failure));
//!     }
//!
//!     // What is there, compared with what is wanted.
//!     if let Some(observed) = client.virtual_server(&frontend)?
//!         && !observed.holds(&wanted)
//!     {
//!         batch.clear();
//!         batch.set_virtual_server(&wanted);
//!         client.apply(&mut batch)?;
//!     }
//!
//!     // The whole table, counters and all.
//!     for observed in client.virtual_servers()? {
//!         let frontend = observed.server.frontend;
//!         println!("{frontend}: {} connections", observed.stats.connections);
//!         for observed in client.real_servers(&frontend)? {
//!             println!("  {}: {} now", observed.server.key, observed.active_connections);
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What it promises
//!
//! * A batch goes to the kernel in pieces of many messages, each with one `sendmsg` and, if nothing
//!   fails, one `recv`. Operations are encoded straight into the batch, without an allocation each.
//! * Every operation is tried, in order. Refused operations are reported by index, with the
//!   kernel's error number and its meaning for that operation.
//! * The configuration of a virtual server ([`trimtab_core::VirtualServer`]) is separate from the
//!   kernel's counters ([`Stats`]), so desired and observed state can be compared with `==`.
//! * Attributes of a later kernel are kept ([`UnknownAttribute`]) and are never an error. Malformed
//!   bytes are an error, never a panic.
//! * No background thread, no async runtime, no state besides the socket.
//!
//! # What the kernel requires
//!
//! Using IPVS, even reading it, needs CAP_NET_ADMIN in the initial user namespace.
//! [`Client::connect`] loads the module `ip_vs` if necessary and allowed by [`ModuleOptions`]; that
//! needs CAP_SYS_MODULE. Newer kernels load it by themselves.
//!
//! # Layout
//!
//! | item | content |
//! |---|---|
//! | [`Client`] | requests over the socket |
//! | [`Batch`], [`Operation`] | changes, as messages and as values |
//! | [`ObservedVirtualServer`] and so on, [`Listing`] | what the kernel holds |
//! | [`OptionReader`] | IPv4 real servers by the older interface, several times as fast |
//! | [`ModuleOptions`] | loading the kernel module |
//! | [`wire`] | the codec, the only place that knows the kernel's wire format |

mod batch;
mod client;
mod error;
mod info;
mod listing;
mod module;
mod observed;
mod operation;
mod option_reader;
mod stats;
mod sync_daemon;
pub mod wire;

pub use batch::Batch;
pub use client::Client;
pub use error::{Error, ModuleError, Request};
pub use info::{Info, Timeouts, Version};
pub use listing::{Listing, Unsupported};
pub use module::ModuleOptions;
pub use observed::{
    AttributeLevel, ObservedRealServer, ObservedSyncDaemon, ObservedVirtualServer, UnknownAttribute,
};
pub use operation::Operation;
pub use option_reader::{CountedRealServer, OptionReader};
pub use stats::Stats;
pub use sync_daemon::{SyncDaemon, SyncRole};
pub use trimtab_netlink::{Errno, Failure, Refusal, Report};

/// The README's example is compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
