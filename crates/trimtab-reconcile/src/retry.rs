//! When to try again what failed.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;

use crate::operation::ServiceId;
use crate::tables::ObjectKey;

/// Delay before the first retry; doubled for each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(60);

/// Objects whose last operation failed, each with a back-off of its own.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    entries: HashMap<ObjectKey, Entry>,
    due: BTreeSet<(Duration, ObjectKey)>,
    /// How many objects of each Service.
    services: HashMap<ServiceId, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    service: ServiceId,
    attempts: u32,
    due: Duration,
}

impl Retries {
    /// Notes a failure of `object`; returns how many there have been in a row.
    pub(crate) fn failed(&mut self, object: ObjectKey, id: ServiceId, now: Duration) -> u32 {
        let attempts = self.entries.get(&object).map_or(0, |entry| entry.attempts);
        self.fail(object, id, attempts, now);
        attempts + 1
    }

    /// Notes that `object` was not as it was known to be: the first time it is tried again at once,
    /// with what it really is; if that happens again, like any failure.
    pub(crate) fn surprised(&mut self, object: ObjectKey, id: ServiceId, now: Duration) {
        match self.entries.get(&object) {
            Some(entry) => self.fail(object, id, entry.attempts, now),
            None => self.schedule(object, Entry { service: id, attempts: 0, due: now }),
        }
    }

    fn fail(&mut self, object: ObjectKey, id: ServiceId, attempts: u32, now: Duration) {
        let delay = FIRST.saturating_mul(1 << attempts.min(16)).min(LONGEST);
        self.schedule(object, Entry { service: id, attempts: attempts + 1, due: now + delay });
    }

    /// Notes that `object` was not tried because something that it builds upon failed.
    pub(crate) fn withheld(&mut self, object: ObjectKey, id: ServiceId, now: Duration) {
        match self.entries.get(&object) {
            Some(entry) if entry.due > now => {}
            entry => {
                let attempts = entry.map_or(0, |entry| entry.attempts);
                self.schedule(object, Entry { service: id, attempts, due: now + FIRST });
            }
        }
    }

    /// Whether `object` has to wait.
    pub(crate) fn holds(&self, object: &ObjectKey, now: Duration) -> bool {
        !self.entries.is_empty() && self.entries.get(object).is_some_and(|entry| entry.due > now)
    }

    /// Forgets `object`, which is as wanted or no longer there; returns whose it was if it had failed.
    pub(crate) fn succeeded(&mut self, object: &ObjectKey) -> Option<ServiceId> {
        if self.entries.is_empty() {
            return None;
        }
        let entry = self.entries.remove(object)?;
        self.due.remove(&(entry.due, *object));
        self.release(entry.service);
        Some(entry.service)
    }

    /// The next object whose time has come. It stays known, with its attempts, until it succeeds.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<(ServiceId, ObjectKey)> {
        let (due, object) = *self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        self.entries.get(&object).map(|entry| (entry.service, object))
    }

    /// When the next object is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whose objects failed, each once.
    pub(crate) fn iter_services(&self) -> impl Iterator<Item = ServiceId> + '_ {
        self.services.keys().copied()
    }

    /// How many Services' objects failed.
    pub(crate) fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many of a Service's objects failed.
    pub(crate) fn count_of(&self, id: ServiceId) -> usize {
        self.services.get(&id).copied().unwrap_or_default()
    }

    /// How many objects wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn schedule(&mut self, object: ObjectKey, entry: Entry) {
        *self.services.entry(entry.service).or_default() += 1;
        if let Some(old) = self.entries.insert(object, entry) {
            self.due.remove(&(old.due, object));
            self.release(old.service);
        }
        self.due.insert((entry.due, object));
    }

    fn release(&mut self, id: ServiceId) {
        if let Some(count) = self.services.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.services.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_backs_off_by_itself() {
        let second = Duration::from_secs(1);
        let object = ObjectKey::Address([10, 0, 0, 1].into());
        let other = ObjectKey::Address([10, 0, 0, 2].into());
        let mut retries = Retries::default();
        retries.failed(object, ServiceId::NOBODY, Duration::ZERO);
        assert!(retries.holds(&object, Duration::ZERO));
        assert!(!retries.holds(&other, Duration::ZERO));
        assert_eq!(retries.pop(Duration::ZERO), None);
        let mut now = Duration::ZERO;
        for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(retries.next(), Some(now + second * delay));
            now += second * delay;
            assert_eq!(retries.pop(now), Some((ServiceId::NOBODY, object)));
            assert!(!retries.holds(&object, now));
            retries.failed(object, ServiceId::NOBODY, now);
        }
        retries.succeeded(&object);
        assert_eq!((retries.len(), retries.next(), retries.service_count()), (0, None, 0));
    }
}
