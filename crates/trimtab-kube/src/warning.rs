//! Warnings: what is wrong with people's objects, said where they look.
//!
//! ```text
//! Sync, health checks ──► Warnings ──► log, metrics
//!                            └──► Board ──► Publisher ──► Events, by the API server
//! ```
//!
//! Whoever finds something wrong states all that is wrong at its place now; [`Warnings`] works out
//! what is new and what is over. It never waits: the [`Board`] is a value of bounded size that the
//! [`Publisher`] reads in its own time.

mod board;
mod bucket;
mod event;
mod ledger;
mod note;
mod publisher;
mod reason;
mod schedule;

pub use board::Board;
pub use ledger::{Origin, Warnings};
pub use publisher::Publisher;
pub use reason::WarningReason;

use trimtab_core::objects::ObjectName;

/// Something wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub reason: WarningReason,
    /// What it is and what is done about it, in words.
    pub message: String,
}

/// The object that a warning is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regarding {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace, empty for a Node, and its name.
    pub name: ObjectName,
    /// Its uid, by which `kubectl describe` finds its Events.
    pub uid: Box<str>,
}

/// The kinds of objects that warnings are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A Service.
    Service,
    /// An EndpointSlice of a Service that is not known.
    EndpointSlice,
    /// A Node.
    Node,
}

impl ObjectKind {
    /// As objects spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
        }
    }

    /// Its group and version.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Node => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
        }
    }
}

/// All findings of one kind about one object: one log line, one Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The object.
    pub regarding: Regarding,
    /// The kind.
    pub reason: WarningReason,
    /// The findings in words, at most 1024 bytes.
    pub note: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Regarding { kind, name, .. } = &self.regarding;
        let name = if name.namespace().is_empty() { name.name() } else { name.as_str() };
        write!(f, "{} {name}: {}: {}", kind.as_str(), self.reason.as_str(), self.note)
    }
}
