//! The admin socket of a running Trimtab: what is asked and answered there, and a client.
//!
//! The daemon serves HTTP/1.1 with JSON bodies on a Unix socket, [`SOCKET`] unless configured
//! otherwise, to root only. Every path begins with the version, `/v1`: within a version, fields are
//! added and never change their meaning, so readers ignore fields that they do not know.
//!
//! | path | answer |
//! |---|---|
//! | [`SUMMARY`] | [`Summary`]: the daemon as a whole |
//! | [`EXPLANATION`] with a [`Selection`] of one Service | [`Explanation`]: why it is programmed as it is, in parts |
//! | [`SERVICES`] with a [`Selection`] | [`ServicePage`]: what is programmed for each Service, in pages |
//!
//! An answer with another status than 200 is a [`Complaint`]. All answers are snapshots: the daemon
//! may change something between two pages.
//!
//! ```no_run
//! use trimtab_admin::{Client, Selection};
//!
//! let mut client = Client::connect(trimtab_admin::SOCKET.as_ref())?;
//! println!("{} Services", client.summary()?.services);
//! let selection = Selection { namespace: Some("default".to_owned()), ..Selection::default() };
//! client.services(&selection, |service| println!("{}", service.name))?;
//! # Ok::<(), trimtab_admin::Error>(())
//! ```

mod client;
#[cfg(test)]
mod documented;
mod explanation;
mod selection;
mod service;
mod summary;

pub use client::{Client, Error};
pub use explanation::{
    Element, Endpoint, ExplainedFrontend, ExplainedPort, Explanation, Held, Inside, PortName,
    Precedence, Reason, SetRole, Topology, Verdict,
};
pub use selection::Selection;
pub use service::{
    Connections, Draining, Failure, Frontend, Kind, Policy, Protocol, RealServer, Service,
    ServiceName, ServicePage, Warning,
};
pub use summary::{ApiServer, Comparison, Drift, DriftFound, Stage, Summary};

use serde::{Deserialize, Serialize};

/// Where the socket is unless `trimtab.adminSocket` says otherwise.
pub const SOCKET: &str = "/run/trimtab/trimtab.sock";
/// The path of the summary.
pub const SUMMARY: &str = "/v1/summary";
/// The path of explanations.
pub const EXPLANATION: &str = "/v1/explanation";
/// The path of the Services.
pub const SERVICES: &str = "/v1/services";

/// Why a question was not answered: the body of every answer with another status than 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// In words.
    pub error: String,
}
