//! Real servers on their way out.
//!
//! A TCP real server that leaves gets weight 0 and goes when its connections have ended, or when its
//! time is up. That belongs to its virtual server: it ends with it, and a real server that comes
//! back is given its weight again.

use std::time::Duration;

use trimtab_core::{Frontend, RealServerKey};

use super::Reconciler;
use crate::tables::{Deadline, ObjectKey};

impl Reconciler {
    /// Virtual servers with real servers that drain: ask the kernel for their connections from time
    /// to time, and pass them to [`Reconciler::observe_connections`].
    pub fn draining(&self) -> impl Iterator<Item = Frontend> + '_ {
        self.work.draining.iter().copied()
    }

    /// When the first of them will have had its time: never after that, and perhaps before, if it
    /// came back since.
    pub fn next_drain_end(&self) -> Option<Duration> {
        self.work.first_drain_end.map(Deadline::moment)
    }

    /// Looks for the first that ends after `now`, among all that drain.
    pub fn find_next_drain_end(&mut self, now: Duration) {
        self.work.first_drain_end = self
            .work
            .draining
            .iter()
            .filter_map(|frontend| self.model.tables.virtual_servers.get(frontend))
            .flat_map(|server| server.servers.values())
            .filter_map(|real| real.drain_until)
            .chain(self.lingering_ends())
            .filter(|until| !until.is_over(now))
            .min();
    }

    /// How many real servers drain.
    pub fn draining_servers(&self) -> usize {
        self.work
            .draining
            .iter()
            .filter_map(|frontend| self.model.tables.virtual_servers.get(frontend))
            .flat_map(|server| server.servers.values())
            .filter(|real| real.drain_until.is_some())
            .count()
    }

    /// Takes note of the connections, active and inactive, that a virtual server's real servers
    /// have. One that drains and has none left, or whose time is up, is due to go.
    pub fn observe_connections(
        &mut self,
        frontend: Frontend,
        connections: impl IntoIterator<Item = (RealServerKey, u64)>,
        now: Duration,
    ) {
        let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) else {
            self.work.draining.remove(&frontend);
            return;
        };
        let Some(wanted) = server.wanted else {
            return self.observe_lingering(frontend, connections, now);
        };
        let mut done = Vec::new();
        for (key, count) in connections {
            if let Some(real) = server.servers.get_mut(&key)
                && let Some(until) = real.drain_until
                && (count == 0 || until.is_over(now))
            {
                real.drain_until = Some(Deadline::OVER);
                done.push(key);
            }
        }
        if !server
            .servers
            .values()
            .any(|real| real.drain_until.is_some_and(|until| !until.is_over(now)))
        {
            self.work.draining.remove(&frontend);
        }
        for key in done {
            self.touch(wanted.service, ObjectKey::RealServer(frontend, key));
        }
    }
}
