//! Durations in the file.

use std::time::Duration;

/// A duration in a file: Go's notation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period(pub Duration);
