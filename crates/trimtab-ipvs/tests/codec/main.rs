//! The codec alone, without a kernel.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that it did not expect")]
// The captured bytes are a little-endian machine's.
#![cfg(target_endian = "little")]

mod captured;
mod garbage;
mod later_kernel;
mod operations;
mod round_trip;
