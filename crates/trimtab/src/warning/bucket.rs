//! A token bucket.

use std::time::Duration;

/// Lets a burst through and then one at a time. Time is an argument.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: u32,
    period: Duration,
    tokens: u32,
    /// When the last of the tokens in it came.
    filled: Duration,
}

impl Bucket {
    /// Full at time zero; a token comes every `period`.
    pub(super) const fn new(burst: u32, period: Duration) -> Self {
        Self { burst, period, tokens: burst, filled: Duration::ZERO }
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
        let mut bucket = Bucket::new(3, second);
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
}
