//! The recent past of one kind: what watches read, and what older pages of a list are rebuilt from.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Refusal;
use super::object::Object;

/// One write.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) key: Arc<str>,
    /// What was there before.
    pub(crate) previous: Option<Arc<Object>>,
    /// What is there now: for a removal, the last state under the revision of the removal.
    pub(crate) object: Arc<Object>,
    pub(crate) is_removal: bool,
}

/// A bounded log in the order of revisions.
///
/// Readers keep a position, a number that counts all events ever logged, so that a reader costs
/// nothing here and one that falls behind is noticed.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    /// Position of the first event still held.
    first: u64,
    /// Nothing after this revision is missing.
    floor: u64,
    capacity: usize,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), first: 0, floor: 0, capacity }
    }

    pub(crate) fn push(&mut self, event: Event) {
        while self.events.len() >= self.capacity {
            let Some(event) = self.events.pop_front() else { break };
            self.first += 1;
            self.floor = event.revision;
        }
        self.events.push_back(Arc::new(event));
    }

    /// Forgets everything up to and including a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        while self.events.front().is_some_and(|event| event.revision <= revision) {
            self.events.pop_front();
            self.first += 1;
        }
        self.floor = self.floor.max(revision);
    }

    /// The position of the first event after a revision, unless it is forgotten.
    pub(crate) fn after(&self, revision: u64) -> Result<u64, Refusal> {
        if revision < self.floor {
            return Err(Refusal::Expired { wanted: revision, oldest: self.floor });
        }
        let index = self.events.partition_point(|event| event.revision <= revision);
        Ok(self.first + index as u64)
    }

    /// The position of the event to come.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// At most `limit` events from a position on, or `None` if some are forgotten.
    pub(crate) fn read(&self, position: u64, limit: usize) -> Option<Vec<Arc<Event>>> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        Some(self.events.iter().skip(index).take(limit).cloned().collect())
    }

    /// What has to be put over the present to see a past revision: the objects written since, as
    /// they were (`None`: not there).
    pub(crate) fn undo(
        &self,
        revision: u64,
    ) -> Result<BTreeMap<Arc<str>, Option<Arc<Object>>>, Refusal> {
        let index = usize::try_from(self.after(revision)? - self.first).unwrap_or(usize::MAX);
        let mut undone = BTreeMap::new();
        for event in self.events.iter().skip(index) {
            undone.entry(Arc::clone(&event.key)).or_insert_with(|| event.previous.clone());
        }
        Ok(undone)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::Resource;
    use super::*;

    fn history(capacity: usize, revisions: std::ops::RangeInclusive<u64>) -> History {
        let mut history = History::new(capacity);
        for revision in revisions {
            let object = |r| Arc::new(Object::encode(Resource::Nodes, r, Map::new()));
            history.push(Event {
                revision,
                key: Arc::from("node"),
                previous: (revision > 1).then(|| object(revision - 1)),
                object: object(revision),
                is_removal: false,
            });
        }
        history
    }

    fn revisions(history: &History, position: u64) -> Option<Vec<u64>> {
        Some(history.read(position, 100)?.iter().map(|event| event.revision).collect())
    }

    #[test]
    fn a_reader_continues_after_its_revision() {
        let history = history(10, 1..=5);
        assert_eq!(revisions(&history, history.after(3).unwrap()), Some(vec![4, 5]));
        assert_eq!(revisions(&history, history.end()), Some(vec![]));
    }

    #[test]
    fn what_fell_out_is_expired_and_noticed_by_readers() {
        let history = history(3, 1..=5);
        assert_eq!(history.after(1).unwrap_err(), Refusal::Expired { wanted: 1, oldest: 2 });
        assert_eq!(revisions(&history, history.after(2).unwrap()), Some(vec![3, 4, 5]));
        assert_eq!(revisions(&history, 1), None);
    }

    #[test]
    fn compaction_forgets_up_to_its_revision() {
        let mut history = history(10, 1..=5);
        history.compact(4);
        assert!(history.after(3).unwrap_err().is_expired());
        assert_eq!(revisions(&history, history.after(4).unwrap()), Some(vec![5]));
    }

    #[test]
    fn the_oldest_state_since_a_revision_is_undone() {
        let undone = history(10, 1..=5).undo(2).unwrap();
        assert_eq!(undone["node"].as_ref().unwrap().revision(), 2);
        assert!(history(10, 1..=5).undo(0).unwrap()["node"].is_none());
    }
}
