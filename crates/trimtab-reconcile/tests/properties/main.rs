//! Properties of the reconciler that hold for any sequence of events and any kernel it may find.

#![expect(clippy::unwrap_used, reason = "texts in tests are known to parse")]

mod convergence;
mod events;
mod failures;
mod invariants;
mod world;
