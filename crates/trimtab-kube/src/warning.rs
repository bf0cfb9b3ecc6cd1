//! Warnings: problems with objects, reported where users look.
//!
//! ```text
//! Sync, health checks ──► Warnings ──► log, metrics
//!                            └──► Board ──► Publisher ──► Events, by the API server
//! ```
//!
//! Each source of findings states all its current findings; [`Warnings`] works out which are new
//! and which are over. It never waits: the [`Board`] is a value of bounded size that the
//! [`Publisher`] reads at its own pace.

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

/// One problem, found at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of problem.
    pub reason: WarningReason,
    /// The message: what is wrong, and how it is handled.
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
    /// An EndpointSlice whose Service is unknown.
    EndpointSlice,
    /// A Node.
    Node,
}

impl ObjectKind {
    /// The kind's name in the API.
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

/// All findings of one kind on one object: one log line, one Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The object.
    pub regarding: Regarding,
    /// The kind.
    pub reason: WarningReason,
    /// The text of the findings, at most 1024 bytes.
    pub note: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Regarding { kind, name, .. } = &self.regarding;
        let name = if name.namespace().is_empty() { name.name() } else { name.as_str() };
        write!(f, "{} {name}: {}: {}", kind.as_str(), self.reason.as_str(), self.note)
    }
}
