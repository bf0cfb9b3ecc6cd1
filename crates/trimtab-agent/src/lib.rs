//! The daemon: from changes of objects to changes of the kernel, and what others can see of it.
//!
//! ```text
//! source ──► changes ──► SyncLoop ──► Reconciler ──► Plan ──► DataPlane
//!                           ▲                                    │
//!                           └──────────── Auditor ◄──────────────┘
//! ```
//!
//! [`SyncLoop`] is the only one that writes to the kernel. The auditor reads beside it and reports
//! what looks wrong. What follows from the objects besides, warnings and health checks, is left with
//! those who see to it; the loop never waits for them.
//!
//! | module | what it does |
//! |---|---|
//! | `sync` | the loop: taking changes in, rounds, drains, the start |
//! | `audit`, `auditor` | reading the kernel for comparisons, beside the loop |
//! | `notices` | word of changes that somebody else made in the kernel |
//! | `addresses`, `lists`, `pace` | what the loop knows of the node's addresses, of lists, of time |
//! | `findings`, `failures`, `measure` | what it tells: warnings, log lines, metrics |
//! | [`health`], [`health_check`], [`http`] | what probes and load balancers are answered |
//! | [`allocator`], [`kernel_memory`] | what the program and the kernel need of memory |

pub mod allocator;
pub mod health;
pub mod health_check;
pub mod http;
pub mod kernel_memory;

mod addresses;
mod audit;
mod auditor;
mod failures;
mod findings;
mod lists;
mod measure;
mod notices;
mod pace;
mod sync;

pub use audit::AuditPart;
pub use auditor::Auditor;
pub use notices::Notices;
pub use sync::{Inputs, Shared, SyncLoop, SyncSettings};
