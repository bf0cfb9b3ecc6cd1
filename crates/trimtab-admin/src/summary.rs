//! The daemon as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The program's version.
    pub version: String,
    /// The name of the node.
    pub node: String,
    /// When the daemon started.
    pub started: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// What `/readyz` says of the kernel: that it holds what is wanted, except for single Services.
    pub ready: bool,
    /// What `/livez` says: that no change has waited for too long.
    pub healthy: bool,
    /// Whether another service proxy programs this node, too.
    pub other_proxy: bool,
    /// Services that are proxied.
    pub services: u64,
    /// Virtual servers that the kernel has or should have.
    pub virtual_servers: u64,
    /// Real servers that the kernel has or should have.
    pub real_servers: u64,
    /// Real servers that keep their connections for a while after they left.
    pub draining: u64,
    /// Services for which something is still to be done.
    pub pending: u64,
    /// Objects in the kernel that failed and wait to be tried again.
    pub retrying: u64,
    /// The Services of these objects.
    pub failing_services: u64,
    /// Current warnings about objects.
    pub warnings: u64,
    /// How long the oldest change that is not in the kernel yet has waited, in seconds; absent if none
    /// waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_seconds: Option<f64>,
    /// Comparisons with the kernel.
    pub comparison: Comparison,
    /// The API server; absent before its first answer, and if objects come from a folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub api_server: Option<ApiServer>,
}

/// How far the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// It waits for complete lists of objects and has not touched the kernel.
    Listing,
    /// It programs the kernel for the first time.
    Programming,
    /// It has programmed the kernel.
    Ready,
}

/// Comparisons of the kernel with what it should hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The time between two of them, in seconds.
    pub period_seconds: f64,
    /// When the last one was complete.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed: Option<Timestamp>,
    /// The objects that other programs had changed, since the start.
    pub drift: Drift,
    /// The last time that there were any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_drift: Option<DriftFound>,
}

/// When other programs were found to have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftFound {
    /// When.
    pub at: Timestamp,
    /// How much.
    pub drift: Drift,
}

/// How many objects other programs had changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Virtual servers.
    pub virtual_servers: u64,
    /// Real servers.
    pub real_servers: u64,
    /// Elements of ipsets.
    pub elements: u64,
    /// VIPs.
    pub addresses: u64,
}

impl Drift {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.virtual_servers + self.real_servers + self.elements + self.addresses
    }
}

/// The contact with the API server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServer {
    /// Whether the watches of all kinds of objects work.
    pub followed: bool,
    /// How long it has sent nothing, in seconds. It sends something about once a minute at
    /// least.
    pub silent_seconds: f64,
}
