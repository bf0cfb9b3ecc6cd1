//! ipsets over netfilter netlink, without the `ipset` program.
//!
//! [`Client`] is the kernel's interface, command by command, for any set name; [`ensure`] and
//! [`apply_growing`] are what a proxy needs: they create missing sets, replace those of a wrong
//! type, and enlarge full ones. Elements are [`trimtab_core::SetElement`]s.
//!
//! Many elements travel in one message and many messages in one `sendmsg`. When the kernel refuses
//! an element, it reports which one and skips the rest of that message; the client then sends the
//! rest again, so that every refused element is found.

mod change;
mod client;
mod element;
mod ensure;
mod error;
mod header;
mod wire;

pub use change::{Change, Repeat, messages};
pub use client::{Client, Set};
pub use ensure::{Ensured, Grown, SetSpec, apply_growing, ensure};
pub use error::IpsetError;
pub use header::SetHeader;
