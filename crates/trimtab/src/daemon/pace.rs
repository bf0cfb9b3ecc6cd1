//! When the next round of changes may begin.

use std::time::Duration;

use tokio::time::Instant;

/// Keeps rounds apart by at least `minSyncPeriod`, from the end of one to the start of the next. The
/// first change after quiet goes at once; changes that come meanwhile go together.
#[derive(Debug)]
pub(super) struct Pace {
    least: Duration,
    last_end: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(least: Duration) -> Self {
        Self { least, last_end: None }
    }

    /// The earliest time for the next round; `None` for now.
    pub(super) fn earliest(&self, now: Instant) -> Option<Instant> {
        self.last_end.map(|end| end + self.least).filter(|earliest| *earliest > now)
    }

    pub(super) fn ended(&mut self, now: Instant) {
        self.last_end = Some(now);
    }
}
