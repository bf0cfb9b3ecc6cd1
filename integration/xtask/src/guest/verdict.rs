//! How a guest ended, and the exit status for it.

/// The exit status for a guest that ended without its command's status.
pub(crate) const NO_VERDICT: u8 = 125;

/// The exit status for a guest that was stopped at its time limit, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;

/// The outcome of a job.
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
    /// Prints the guest's error, if there is one; returns the exit status.
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
