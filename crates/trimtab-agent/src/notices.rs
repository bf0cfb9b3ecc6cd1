//! Notices that another program changed our objects; they make the auditor look.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Pending notices from the kernel. Several of one kind count as one until the auditor takes it.
#[derive(Debug, Default)]
pub struct Notices {
    interface: Notify,
    rules: Notify,
}

impl Notices {
    /// The dummy interface was changed, or notifications were lost because there were too many.
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

/// The shortest time between two looks caused by notices.
const LEAST: Duration = Duration::from_secs(1);
/// Looks that notices cause take at most this part of the time.
const SHARE: u32 = 10;

/// How long after a look notices do not cause another one.
#[derive(Debug)]
pub(super) struct Rest {
    until: Instant,
}

impl Rest {
    pub(super) fn none() -> Self {
        Self { until: Instant::now() }
    }

    /// This is wall-clock time, so that the programs that the look runs count, too.
    pub(super) fn after(took: Duration) -> Self {
        Self { until: Instant::now() + LEAST.max(took * SHARE) }
    }
}
