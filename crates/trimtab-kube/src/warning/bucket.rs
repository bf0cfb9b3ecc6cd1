//! A token bucket.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A token bucket: allows a burst, then single requests, at a rate that adapts to their usefulness.
/// Time is an argument.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: u32,
    /// The shortest and the longest interval between two tokens.
    limits: RangeInclusive<Duration>,
    period: Duration,
    tokens: u32,
    /// When the last token was added.
    filled: Duration,
}

impl Bucket {
    /// Full at time zero; tokens are added at the shortest interval.
    pub(super) const fn new(burst: u32, limits: RangeInclusive<Duration>) -> Self {
        let period = *limits.start();
        Self { burst, limits, period, tokens: burst, filled: Duration::ZERO }
    }

    /// The last request was useful: doubles the rate, within the limits.
    pub(super) fn speed_up(&mut self) {
        self.period = (self.period / 2).max(*self.limits.start());
    }

    /// The last request was not useful: drops the rest of the burst and halves the rate, within the
    /// limits. The next token is delayed by a `part`, 0 to 1, of the interval, so that nodes do not
    /// act in step.
    pub(super) fn slow_down(&mut self, now: Duration, part: f64) {
        self.tokens = 0;
        self.period = (self.period * 2).min(*self.limits.end());
        self.filled = now + self.period.mul_f64(part);
    }

    /// Takes a token, or returns when there will be one.
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
        // After a quiet period there is a full burst again, but not more.
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
