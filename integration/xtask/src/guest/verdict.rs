//! How a guest ended, and as which exit status that is told.

/// The exit status for a guest that ended without its command's status.
pub(crate) const NO_VERDICT: u8 = 125;

/// The exit status for a guest that was stopped at its time limit, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The command ended, with this status; 128 + N for signal N, as shells tell it.
    Exited(u8),
    /// The time limit came first.
    TimedOut,
    /// The guest ended before the command did, for this reason.
    Died(String),
}

impl Verdict {
    /// Says what went wrong with the guest, if anything did; returns the exit status.
    pub(crate) fn report(&self) -> u8 {
        match self {
            Self::Exited(status) => *status,
            Self::TimedOut => {
                eprintln!("guest: stopped at its time limit");
                TIMED_OUT
            }
            Self::Died(reason) => {
                eprintln!("guest: ended before its command did: {reason}");
                NO_VERDICT
            }
        }
    }
}
