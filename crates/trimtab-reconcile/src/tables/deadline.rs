//! Moments in few bytes: each of a hundred thousand real servers may have one.

use std::num::NonZeroU32;
use std::time::Duration;

/// A moment on the clock that [`plan`](crate::Reconciler::plan) is given, to the second, rounded up.
/// Kept as seconds and one, so that an optional one takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(NonZeroU32);

impl Deadline {
    /// Over at any time.
    pub(crate) const OVER: Self = Self(NonZeroU32::MIN);

    /// The first second that is not before `moment`; 136 years at most.
    pub(crate) fn at(moment: Duration) -> Self {
        let seconds = moment.as_secs().saturating_add(u64::from(moment.subsec_nanos() > 0));
        let one_more = u32::try_from(seconds.saturating_add(1)).unwrap_or(u32::MAX);
        NonZeroU32::new(one_more).map_or(Self::OVER, Self)
    }

    /// The moment, in whole seconds.
    pub(crate) fn moment(self) -> Duration {
        Duration::from_secs(u64::from(self.0.get() - 1))
    }

    /// When it would be if it were `after`, and not `before`, from where it was set.
    pub(crate) fn moved(self, before: Duration, after: Duration) -> Self {
        Self::at(self.moment().saturating_sub(before).saturating_add(after))
    }

    /// Whether it is not in the future.
    pub(crate) fn is_over(self, now: Duration) -> bool {
        self.moment() <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_less_than_a_second_late() {
        let moment = Duration::from_millis(61_300);
        let deadline = Deadline::at(moment);
        assert!(!deadline.is_over(Duration::from_millis(61_999)));
        assert!(deadline.is_over(Duration::from_secs(62)));
        assert!(Deadline::at(Duration::from_secs(60)).is_over(Duration::from_secs(60)));
        assert!(Deadline::at(Duration::ZERO).is_over(Duration::ZERO));
        assert!(Deadline::OVER.is_over(Duration::ZERO));
        assert!(!Deadline::at(Duration::MAX).is_over(Duration::from_secs(1 << 31)));
        assert_eq!(size_of::<Option<Deadline>>(), 4);
    }
}
