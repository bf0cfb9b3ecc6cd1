//! The daemon: from changes of objects to changes of the kernel.
//!
//! ```text
//! source ──► changes ──► Sync ──► Reconciler ──► Plan ──► DataPlane
//!                          ▲                                 │
//!                          └──────── Auditor ◄───────────────┘
//! ```
//!
//! [`Sync`] is the only place that writes to the kernel. The auditor reads beside it and reports
//! what looks wrong.

mod audit;
mod lists;
mod pace;
mod plane;
mod sync;

pub use audit::{AuditPart, Auditor, Observer};
pub use plane::DataPlane;
pub use sync::{Shared, Sync, SyncSettings};
