//! When the next round of changes may begin.

use std::time::Duration;

use tokio::time::Instant;

/// Keeps rounds apart by at least `minSyncPeriod`, from the end of one to the start of the next.
/// The first change after a quiet period starts a round at once; changes that arrive in the
/// meantime share the next round.
#[derive(Debug)]
pub(super) struct Pace {
    least: Duration,
    last_end: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(least: Duration) -> Self {
        Self { least, last_end: None }
    }

    /// Whether a round may begin.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.not_before().is_none_or(|earliest| earliest <= now)
    }

    /// When to begin a round that is due at `due`.
    pub(super) fn begin(&self, due: Instant) -> Instant {
        self.not_before().map_or(due, |earliest| earliest.max(due))
    }

    pub(super) fn ended(&mut self, now: Instant) {
        self.last_end = Some(now);
    }

    fn not_before(&self) -> Option<Instant> {
        self.last_end.map(|end| end + self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_within_the_pace_waits_for_its_end() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(second * 10);
        assert!(pace.allows(start));
        assert_eq!(pace.begin(start), start);
        pace.ended(start);
        // A retry that was due 5 s ago: waking up for it immediately would be a busy loop.
        let now = start + second * 6;
        assert!(!pace.allows(now));
        assert_eq!(pace.begin(start + second), start + second * 10);
        assert_eq!(pace.begin(start + second * 11), start + second * 11);
        assert!(pace.allows(start + second * 10));
    }
}
