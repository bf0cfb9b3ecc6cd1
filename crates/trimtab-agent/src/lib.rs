//! The daemon: turns changes of objects into changes of the kernel, and reports its state
//! (warnings, health, metrics).
//!
//! ```text
//! source ──► changes ──► SyncLoop ──► Reconciler ──► Plan ──► DataPlane
//!                           ▲                                    │
//!                           └──────────── Auditor ◄──────────────┘
//! ```
//!
//! Only [`SyncLoop`] writes to the kernel. The auditor reads the kernel in parallel and sends the
//! loop what it finds. Warnings and health checks are handed to other tasks; the loop never waits
//! for them.
//!
//! | module | what it does |
//! |---|---|
//! | `sync` | the loop: intake of changes, rounds, drains, startup |
//! | `audit`, `auditor` | reading the kernel for comparisons, in parallel with the loop |
//! | `notices` | notifications of changes that other programs made in the kernel |
//! | [`fn@feed`] | changes of objects, as the reconciler takes them |
//! | `addresses`, `lists`, `pace` | the loop's state: the node's addresses, complete lists, pace of rounds |
//! | `findings`, `failures`, `measure` | what it reports: warnings, log lines, metrics |
//! | [`questions`], [`admin`] | questions to the loop; the admin socket, which asks them |
//! | [`health`], [`health_check`], [`http`] | responses to probes and load balancers |
//! | [`traffic`] | the traffic of Services, from what IPVS counts |
//! | [`allocator`], [`kernel_memory`], `process` | memory of the program and of the kernel; what else the program uses |

pub mod admin;
pub mod allocator;
pub mod health;
pub mod health_check;
pub mod http;
pub mod kernel_memory;
pub mod questions;
pub mod traffic;

mod addresses;
mod audit;
mod auditor;
mod failures;
mod feed;
mod findings;
mod lists;
mod losses;
mod measure;
mod notices;
mod pace;
mod process;
mod sync;

pub use audit::AuditPart;
pub use auditor::Auditor;
pub use feed::feed;
pub use notices::Notices;
pub use sync::{Inputs, Shared, SyncLoop, SyncSettings};
