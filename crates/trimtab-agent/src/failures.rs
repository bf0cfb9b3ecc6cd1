//! Logs operations that the kernel refused, in few lines.

use tracing::{debug, warn};
use trimtab_reconcile::{Operation, Refused};

/// How many refusals of one round get a line each: if there are thousands, they are alike.
const TOLD: usize = 8;

/// Logs what the kernel refused in one round: the first of them, and how many more there are.
pub(super) fn tell(failed: &[(Operation, Refused)]) {
    for (operation, why) in failed.iter().take(TOLD) {
        warn!(error = %why, "cannot {}", operation.action);
    }
    if failed.len() > TOLD {
        let more = failed.len() - TOLD;
        warn!(more, "the kernel refused more operations; each is logged at verbosity 4");
        for (operation, why) in failed.iter().skip(TOLD) {
            debug!(error = %why, "cannot {}", operation.action);
        }
    }
}
