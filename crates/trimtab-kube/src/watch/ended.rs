//! How a list or a watch ended.

use crate::failure::Failure;

/// How a list or a watch ended, other than by a complete list.
#[derive(Debug)]
pub(super) enum Ended {
    /// The receiver of changes is gone.
    NotWanted,
    /// The API server ended the watch, as it does after the requested time.
    Over,
    /// The connection ended in the middle of a watch, as it does when an API server restarts.
    Cut,
    /// A watch that was to begin with the state does not say where the state ends.
    Unmarked,
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
