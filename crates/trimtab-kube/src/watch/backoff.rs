//! Back-off between failing attempts.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Counts failures in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after another failure: it doubles each time, within `limits`, and up to half of it
    /// is left out at random, so that nodes that lost the API server together do not return
    /// together. `chance` is in 0..1.
    pub(super) fn next(&mut self, limits: &RangeInclusive<Duration>, chance: f64) -> Duration {
        let doubled = limits.start().saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        doubled.min(*limits.end()).mul_f64(1.0 - chance / 2.0)
    }

    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_anew() {
        let limits = Duration::from_millis(800)..=Duration::from_secs(30);
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next(&limits, 0.0).as_millis()).collect();
        assert_eq!(pauses, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.next(&limits, 0.5), Duration::from_millis(22_500));
        backoff.reset();
        assert_eq!(backoff.next(&limits, 0.0), Duration::from_millis(800));
    }

    #[test]
    fn an_outage_of_a_year_does_not_overflow() {
        let limits = Duration::from_millis(800)..=Duration::from_secs(30);
        let mut backoff = Backoff { failures: 1_400_000 };
        assert_eq!(backoff.next(&limits, 0.0), Duration::from_secs(30));
    }
}
