//! What is still to be done, and when.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use trimtab_core::objects::ObjectName;
use trimtab_core::{Frontend, RealServerKey};

use crate::operation::ServiceId;
use crate::retry::Retries;
use crate::tables::Deadline;

/// What is still to be done, and when.
#[derive(Debug, Default)]
pub(crate) struct Work {
    urgent: VecDeque<ServiceId>,
    queue: VecDeque<ServiceId>,
    /// What failed.
    pub(crate) retries: Retries,
    /// When schedulers that the kernel lacked are tried again.
    pub(crate) schedulers_due: Option<Duration>,
    /// Virtual servers that keep connections of what leaves.
    pub(crate) draining: HashSet<Frontend>,
    /// Virtual servers whose frontend is a mark and that nobody asks for any more.
    pub(crate) leaving: HashMap<Frontend, Leaving>,
    /// The first time that a drain ends, as far as known.
    pub(crate) first_drain_end: Option<Deadline>,
    /// Virtual servers that are to be read again.
    pub(crate) to_reread: HashSet<Frontend>,
    /// Real servers that got into a virtual server of somebody else.
    pub(crate) strays: Vec<(Frontend, RealServerKey)>,
    /// Services whose problems may have changed.
    pub(crate) troubled: HashSet<ObjectName>,
    /// Services whose health check may have changed.
    pub(crate) health_checks: HashSet<ObjectName>,
    /// Frontends that may be another Service port's than before, if anybody wants to know.
    pub(crate) owners: HashSet<Frontend>,
}

/// A virtual server on its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    /// How long it may keep its connections.
    pub(crate) linger: Duration,
    /// Until when, once no packet is given its mark any more.
    pub(crate) until: Option<Deadline>,
}

impl Work {
    /// Adds a Service to those that wait to be planned.
    pub(crate) fn enqueue(&mut self, id: ServiceId, is_urgent: bool) {
        if is_urgent {
            self.urgent.push_back(id);
        } else {
            self.queue.push_back(id);
        }
    }

    /// The next Service to be planned.
    pub(crate) fn next(&mut self) -> Option<ServiceId> {
        self.urgent.pop_front().or_else(|| self.queue.pop_front())
    }

    /// How many Services wait to be planned.
    pub(crate) fn backlog(&self) -> usize {
        self.urgent.len() + self.queue.len()
    }

    /// Whether there is nothing to plan now.
    pub(crate) fn is_idle(&self) -> bool {
        self.backlog() == 0 && self.strays.is_empty()
    }

    /// When there is something to plan even if nothing else happens.
    pub(crate) fn next_retry(&self) -> Option<Duration> {
        [self.retries.next(), self.schedulers_due].into_iter().flatten().min()
    }

    /// Notes that a drain ends then.
    pub(crate) fn note_drain_end(&mut self, until: Deadline) {
        self.first_drain_end = Some(self.first_drain_end.map_or(until, |first| first.min(until)));
    }
}
