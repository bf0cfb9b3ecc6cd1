//! From Services and EndpointSlices to an ordered plan for the kernel; pure, no I/O, no clock.
//!
//! ```text
//! objects ──► Reconciler ──► Plan ──► execute(plan, kernel) ──► Report
//!                 ▲                                               │
//!                 └──────── observe_*  ◄── kernel  take_report ◄──┘
//! ```
//!
//! The [`Reconciler`] is fed objects as they arrive and keeps, side by side, what the kernel should
//! hold and what it is known to hold. One changed endpoint marks one real server of one virtual
//! server; [`Reconciler::plan`] looks only at what is marked, so the work for an event follows the
//! change and not the size of the cluster. The plan is a value: ordered [`Operation`]s that
//! [`execute`] hands to anything that implements [`Kernel`], be it the real one or the
//! [`KernelState`] that the offline `trimtab plan` and the tests use.
//!
//! | module | what it decides or keeps |
//! |---|---|
//! | `input` | the objects as they arrived: Services, EndpointSlices, the node |
//! | `desired` | which frontends, set elements and addresses one Service asks for |
//! | `backends` | which endpoints of a Service port answer: readiness, policy, topology |
//! | `views` | which firewall mark the view of a Service port for clients inside has |
//! | `model`, `tables` | wanted and known state of the kernel's objects, by hash |
//! | `work`, `retry` | what is still to be done, and when what failed is tried again |
//! | `reconciler` | how each of these changes when something happens |
//! | [`operation`], [`plan`] | what is to be done, and in which order |
//! | `execute` | carrying a plan out, and what is withheld after a failure |
//! | [`state`] | the kernel's objects as values |
//! | [`ports`] | what a daemon needs of a kernel |
//! | `query`, `explanation`, `problem` | what others are told |

mod backends;
mod desired;
mod execute;
mod explanation;
mod hints;
mod input;
mod model;
mod nodes;
pub mod operation;
mod order;
pub mod plan;
pub mod ports;
mod problem;
mod query;
mod reconciler;
mod retry;
mod services;
mod settings;
pub mod state;
mod steps;
mod symbol;
mod tables;
mod views;
mod work;

pub use execute::{Kernel, Refused, Report, execute};
pub use explanation::{
    EndpointExplanation, Explanation, FrontendExplanation, Held, InsideView, PortExplanation,
    PortName, Precedence, Topology, Verdict,
};
pub use operation::{Action, Operation, Phase, ServiceId};
pub use plan::Plan;
pub use problem::{Problem, Reason, ServiceProblems};
pub use query::{
    Answer, Draining, Failure, FrontendKind, FrontendStatus, Place, Query, RealServerStatus,
    Select, ServiceStatus,
};
pub use reconciler::{
    Drift, HealthCheck, HealthCheckFamily, Owner, Programmed, Reconciler, WithoutLocalEndpoints,
};
pub use settings::{ExternalIpPolicy, NodePortAddresses, Settings};
pub use state::{KernelState, VirtualServerState};
