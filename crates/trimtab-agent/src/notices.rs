//! Word that somebody changed what is ours, for the auditor to look at.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What the kernel told of. Several notices of one kind that nobody has looked at yet are one.
#[derive(Debug, Default)]
pub struct Notices {
    interface: Notify,
    rules: Notify,
}

impl Notices {
    /// The dummy interface was changed, or so much else that word of it was lost.
    pub fn interface(&self) {
        self.interface.notify_one();
    }

    /// Rules were deleted that may have been ours.
    pub fn rules(&self) {
        self.rules.notify_one();
    }

    pub(super) async fn of_interface(&self, pace: &Rest) {
        sleep_until(pace.until).await;
        self.interface.notified().await;
    }

    pub(super) async fn of_rules(&self, pace: &Rest) {
        sleep_until(pace.until).await;
        self.rules.notified().await;
    }
}

/// The shortest time between two looks that notices cause.
const LEAST: Duration = Duration::from_secs(1);
/// Looks that notices cause take at most this part of the time.
const SHARE: u32 = 10;

/// The time after a look in which no notice causes another one.
#[derive(Debug)]
pub(super) struct Rest {
    until: Instant,
}

impl Rest {
    pub(super) fn none() -> Self {
        Self { until: Instant::now() }
    }

    /// Programs that were run count as well, so it is the time by the clock.
    pub(super) fn after(took: Duration) -> Self {
        Self { until: Instant::now() + LEAST.max(took * SHARE) }
    }
}
