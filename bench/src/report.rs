//! What was measured, as it goes to the JSON file.

use serde::{Deserialize, Serialize};

use crate::floor::Floor;
use crate::process::{Cpu, Memory};
use crate::quantile::Spread;
use crate::scrape::{Own, Traffic};

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The kernel's release and processors.
    pub machine: String,
    /// Seconds between comparisons with the kernel.
    pub sync_period: u64,
    /// Further settings of Trimtab, as lines of its configuration.
    pub settings: String,
    /// One for each number of Services.
    pub runs: Vec<Run>,
}

/// One cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// Services.
    pub services: usize,
    /// Endpoints of each.
    pub endpoints: usize,
    /// The programs.
    pub proxies: Vec<Proxy>,
}

/// What one program did with one cluster. What it does not show, or did not get to, is left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Proxy {
    /// What it is called.
    pub name: String,
    /// A bare loop that makes VIPs local in the same way.
    pub floor: Floor,
    /// Why the measurement ended early.
    pub failure: Option<String>,
    /// From nothing to everything.
    pub cold_start: Option<ColdStart>,
    /// Nothing happens.
    pub idle: Option<Idle>,
    /// Single changes.
    pub event: Option<Event>,
    /// Many changes.
    pub churn: Option<Churn>,
    /// A new start on a kernel that holds everything.
    pub restart: Option<Restart>,
    /// A Service of which every endpoint is replaced.
    pub rolling: Option<Rolling>,
}

/// From the start of the process until the kernel holds everything.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ColdStart {
    /// How long.
    pub seconds: f64,
    /// That, as a multiple of the floor.
    pub ratio: f64,
    /// Its CPU time.
    pub cpu: Cpu,
    /// That of the API server, which had the same processors.
    pub api_cpu: Cpu,
    /// Pages that it touched for the first time.
    pub page_faults: u64,
    /// Netlink traffic.
    pub traffic: Option<Traffic>,
    /// Processes and threads that it started, its own first one included.
    pub forks: u64,
    /// Memory when it was done.
    pub memory: Memory,
}

/// Nothing happens.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Idle {
    /// For how long.
    pub seconds: f64,
    /// CPU time, comparisons with the kernel included.
    pub cpu: Cpu,
    /// That, in percent of one processor.
    pub percent: f64,
    /// Comparisons with the kernel.
    pub audits: f64,
    /// Memory at the end.
    pub memory: Memory,
}

/// Single changes, with quiet between them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds from the change in the API server until the kernel held it.
    pub latency: Spread,
    /// Changes that the kernel never held.
    pub lost: usize,
    /// Milliseconds from the change's arrival at the program to the kernel, by its own count.
    pub own: Option<Spread>,
    /// Netlink traffic of all of them.
    pub traffic: Option<Traffic>,
    /// CPU time of all of them.
    pub cpu: Cpu,
}

/// Many changes, at a steady rate.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Churn {
    /// Changes.
    pub changes: usize,
    /// Seconds in which the API server made them.
    pub seconds: f64,
    /// Milliseconds that the kernel was behind, at changes looked for one after the other.
    pub lag: Spread,
    /// Changes of these that were not seen before the endpoint changed again.
    pub lost: usize,
    /// From the first change's arrival to a moment when all were in the kernel, by the program's own
    /// count.
    pub own: Option<Own>,
    /// CPU time.
    pub cpu: Cpu,
    /// Netlink traffic.
    pub traffic: Option<Traffic>,
    /// Whether the kernel held in the end exactly what it should, as `ipvsadm`, `ipset` and `ip` say.
    pub exact: Option<bool>,
    /// Memory in the end.
    pub memory: Memory,
}

/// A new start on a kernel that holds everything.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Restart {
    /// Until it said that it was ready.
    pub seconds: f64,
    /// CPU time.
    pub cpu: Cpu,
    /// Netlink traffic that changed something: none is expected.
    pub traffic: Option<Traffic>,
    /// Memory when it was ready.
    pub memory: Memory,
}

/// A Service of which every endpoint is replaced, one after the other, without draining.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Rolling {
    /// Its endpoints.
    pub endpoints: usize,
    /// Until the kernel held the last change.
    pub seconds: f64,
    /// CPU time.
    pub cpu: Cpu,
    /// Netlink traffic: two messages an endpoint are expected.
    pub traffic: Option<Traffic>,
    /// Whether the kernel held in the end exactly what it should.
    pub exact: Option<bool>,
}
