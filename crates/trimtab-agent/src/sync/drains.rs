//! Reads the connections of draining real servers.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::SyncLoop;
use trimtab_reconcile::ports::DataPlane;

/// The longest time between two reads of a draining real server's connections.
const DRAIN_POLL: Duration = Duration::from_secs(5);

/// How many virtual servers are read in one go; then events that have arrived meanwhile are
/// handled.
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
            // A round between two reads may already have planned the deletion of real servers whose
            // drain time is over.
            self.next_drain_poll = None;
            self.schedule_drain_poll();
        }
    }

    /// After the interval, or as soon as the first drain time is over.
    pub(super) fn schedule_drain_poll(&mut self) {
        if self.reconciler.draining().next().is_none() {
            return;
        }
        let regular = self.next_drain_poll.unwrap_or_else(|| Instant::now() + DRAIN_POLL);
        let end = self.reconciler.next_drain_end().map(|end| self.epoch + end);
        self.next_drain_poll = Some(end.map_or(regular, |end| end.min(regular)));
    }
}
