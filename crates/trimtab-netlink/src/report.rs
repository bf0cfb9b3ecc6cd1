//! The outcome of a batch.

use std::ops::Range;

use crate::Refusal;

/// One message of a batch that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Position of the message in its batch, from 0.
    pub index: usize,
    /// The kernel's error.
    pub refusal: Refusal,
}

/// The outcome of a batch: every message that is not listed here was executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages sent.
    pub messages: usize,
    /// Bytes sent.
    pub bytes: usize,
    /// System calls that sent them.
    pub sends: usize,
    /// Refused messages, in order.
    pub failures: Vec<Failure>,
    /// Messages whose answers the kernel could not queue (ENOBUFS): each may or may not have been
    /// done. Only possible when thousands fail at once on a socket that could not get its buffer.
    pub unconfirmed: Vec<Range<usize>>,
}

impl Report {
    /// Whether every message was done.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.unconfirmed.is_empty()
    }

    /// Whether the outcome of message `index` is unknown.
    pub fn is_unconfirmed(&self, index: usize) -> bool {
        self.unconfirmed.iter().any(|range| range.contains(&index))
    }
}
