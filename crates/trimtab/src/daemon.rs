//! The daemon: from changes of objects to changes of the kernel.
//!
//! ```text
//! source ──► changes ──► Sync ──► Reconciler ──► Plan ──► DataPlane
//!                          ▲                                 │
//!                          └──────── Auditor ◄───────────────┘
//! ```
//!
//! [`Sync`] is the only one that writes to the kernel. The auditor reads beside it and reports
//! what looks wrong. What follows from the objects besides, warnings and health checks, is left with
//! those who see to it; the loop never waits for them.

mod addresses;
mod audit;
mod auditor;
mod failures;
mod findings;
mod lists;
mod notices;
mod pace;
mod plane;
mod sync;

pub use audit::{AuditPart, HostCheck, Observer};
pub use auditor::Auditor;
pub use notices::Notices;
pub use plane::DataPlane;
pub use sync::{Shared, Sync, SyncSettings};
