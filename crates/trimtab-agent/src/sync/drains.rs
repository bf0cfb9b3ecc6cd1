//! Asking after the connections of real servers on their way out.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::SyncLoop;
use trimtab_reconcile::ports::DataPlane;

/// How often at least real servers that drain are asked for their connections.
const DRAIN_POLL: Duration = Duration::from_secs(5);

/// Virtual servers that are asked in one go; then come the events that have arrived meanwhile.
const ASKED_TOGETHER: usize = 16;

impl<D: DataPlane> SyncLoop<D> {
    pub(super) fn poll_drains(&mut self) {
        if self.to_ask.is_empty() {
            if self.next_drain_poll.is_none_or(|due| due > Instant::now()) {
                return;
            }
            self.next_drain_poll = None;
            self.to_ask.extend(self.reconciler.draining());
        }
        let now = self.now();
        let left = self.to_ask.len().saturating_sub(ASKED_TOGETHER);
        for frontend in self.to_ask.split_off(left) {
            match self.plane.connections(&frontend) {
                Ok(connections) => self.reconciler.observe_connections(frontend, connections, now),
                Err(error) => {
                    warn!(%error, "cannot read connections of {frontend}");
                }
            }
        }
        if self.to_ask.is_empty() {
            self.reconciler.find_next_drain_end(now);
            // A round between two questions may have planned by an end that has passed.
            self.next_drain_poll = None;
            self.schedule_drain_poll();
        }
    }

    /// In a while, or as soon as the first time to drain is over.
    pub(super) fn schedule_drain_poll(&mut self) {
        if self.reconciler.draining().next().is_none() {
            return;
        }
        let regular = self.next_drain_poll.unwrap_or_else(|| Instant::now() + DRAIN_POLL);
        let end = self.reconciler.next_drain_end().map(|end| self.epoch + end);
        self.next_drain_poll = Some(end.map_or(regular, |end| end.min(regular)));
    }
}
