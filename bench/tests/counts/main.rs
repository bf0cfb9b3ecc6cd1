//! What a change costs, counted: messages, allocations, bytes that stay.
//!
//! The whole program but for its sockets runs in each test: the client of the Kubernetes API and its
//! watches, decoding, the daemon's loop, planning, and the encoding of messages. Two ends are other:
//! the [`api`] server is a function, and the [`kernel`] takes every message and counts it. Time
//! stands still but where a test moves it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod churn;
mod daemon;
mod event;
mod growth;
mod heap;
mod kernel;
mod rolling_update;
mod start;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;
