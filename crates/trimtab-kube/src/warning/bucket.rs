//! A token bucket.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Lets a burst through and then one at a time, less often while that is of no use. Time is an
/// argument.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: u32,
    /// The shortest and the longest time between two tokens.
    limits: RangeInclusive<Duration>,
    period: Duration,
    tokens: u32,
    /// When the last of the tokens in it came.
    filled: Duration,
}

impl Bucket {
    /// Full at time zero; a token comes after the shortest of the times given.
    pub(super) const fn new(burst: u32, limits: RangeInclusive<Duration>) -> Self {
        let period = *limits.start();
        Self { burst, limits, period, tokens: burst, filled: Duration::ZERO }
    }

    /// What the last token was spent on was of use: tokens come twice as often, within the limits.
    pub(super) fn speed_up(&mut self) {
        self.period = (self.period / 2).max(*self.limits.start());
    }

    /// It was not: the rest of the burst is gone, and tokens come half as often, within the limits.
    /// The next one is late by a `part` of that, 0 to 1, so that nodes do not keep in step.
    pub(super) fn slow_down(&mut self, now: Duration, part: f64) {
        self.tokens = 0;
        self.period = (self.period * 2).min(*self.limits.end());
        self.filled = now + self.period.mul_f64(part);
    }

    /// Takes a token, or says when there will be one.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.filled).as_nanos() / self.period.as_nanos().max(1);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed >= self.burst - self.tokens {
            self.tokens = self.burst;
            self.filled = now;
        } else {
            self.tokens += passed;
            self.filled += self.period * passed;
        }
        if self.tokens == 0 {
            return Err(self.filled + self.period);
        }
        self.tokens -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_a_period() {
        let second = Duration::from_secs(1);
        let mut bucket = Bucket::new(3, second..=8 * second);
        let mut passed = 0;
        let mut now = Duration::ZERO;
        while now < 10 * second {
            match bucket.take(now) {
                Ok(()) => passed += 1,
                Err(next) => now = next,
            }
        }
        assert_eq!(passed, 3 + 9);
        // After quiet there is a burst again, and no more than that.
        now = 1000 * second;
        assert_eq!((0..9).filter(|_| bucket.take(now).is_ok()).count(), 3);
    }

    #[test]
    fn tokens_that_are_of_no_use_come_less_and_less_often() {
        let second = Duration::from_secs(1);
        let mut bucket = Bucket::new(3, second..=8 * second);
        let mut now = Duration::ZERO;
        let mut waits = Vec::new();
        for _ in 0..6 {
            assert_eq!(bucket.take(now), Ok(()));
            bucket.slow_down(now, 0.0);
            let next = bucket.take(now).unwrap_err();
            waits.push(next.saturating_sub(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [2, 4, 8, 8, 8, 8]);
        bucket.take(now).unwrap();
        bucket.speed_up();
        assert_eq!(bucket.take(now), Err(now + 4 * second));
    }
}
