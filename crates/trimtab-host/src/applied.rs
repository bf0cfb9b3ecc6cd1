//! The outcome of a batch of changes.

use trimtab_netlink::{Batch, Errno, Error as NetlinkError, Report, Socket};

use crate::Error;

/// A change that failed.
#[derive(Debug)]
pub struct Failed {
    /// Its position in the slice of changes, from 0.
    pub index: usize,
    /// Why not.
    pub error: Error,
}

/// The outcome of a slice of changes: all changes that are not listed here were made.
#[derive(Debug, Default)]
pub struct Applied {
    /// The failed changes, in order.
    pub failed: Vec<Failed>,
    /// Netlink messages sent.
    pub messages: usize,
    /// System calls that sent them.
    pub sends: usize,
    /// Bytes sent.
    pub bytes: usize,
}

impl Applied {
    /// Whether every change was made.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty()
    }

    /// The first failure as an error, for callers with a single change or that only need the first.
    ///
    /// # Errors
    /// The first failure, if there is one.
    pub fn into_result(self) -> Result<(), Error> {
        self.failed.into_iter().next().map_or(Ok(()), |failed| Err(failed.error))
    }

    pub(crate) fn count(&mut self, report: &Report) {
        self.messages += report.messages;
        self.sends += report.sends;
        self.bytes += report.bytes;
    }

    pub(crate) fn fail(&mut self, index: usize, error: Error) {
        self.failed.push(Failed { index, error });
    }
}

/// Sends a batch of one message per change. An error that `is_fine` accepts means that the change
/// had been made before; `failed` converts the others.
pub(crate) fn apply_each(
    socket: &mut Socket,
    batch: &mut Batch,
    is_fine: impl Fn(Errno) -> bool,
    failed: impl Fn(usize, NetlinkError) -> Error,
) -> Result<Applied, NetlinkError> {
    let report = socket.apply(batch)?;
    let mut applied = Applied::default();
    applied.count(&report);
    let mut refused = vec![];
    for failure in report.failures {
        refused.push(failure.index);
        if !is_fine(failure.refusal.errno) {
            applied
                .fail(failure.index, failed(failure.index, NetlinkError::Refused(failure.refusal)));
        }
    }
    for index in report.unconfirmed.into_iter().flatten() {
        if !refused.contains(&index) {
            applied.fail(index, failed(index, NetlinkError::NoAnswer("message")));
        }
    }
    applied.failed.sort_by_key(|failed| failed.index);
    Ok(applied)
}
