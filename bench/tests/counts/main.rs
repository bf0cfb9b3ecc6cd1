//! Counts the cost of a change: messages, allocations, bytes that stay allocated.
//!
//! Each test runs the whole program except its sockets: the client of the Kubernetes API and its
//! watches, decoding, the daemon's loop, planning, and the encoding of messages. Both ends are
//! replaced: the [`api`] server is a function, and the [`kernel`] accepts every message and counts
//! it. Time is paused unless a test advances it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod churn;
mod daemon;
mod encodings;
mod event;
mod growth;
mod heap;
mod kernel;
mod rolling_update;
mod start;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;
