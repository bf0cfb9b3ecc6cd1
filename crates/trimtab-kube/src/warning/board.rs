//! Warnings to publish, between the sources of findings and the publisher.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use super::Warning;
use super::event::EventKey;
use trimtab_metrics as metric;

/// The most warnings at one time; further ones are only in the log and the metrics.
const CAPACITY: usize = 1024;

/// Current warnings, and the changes that the publisher has not taken yet. It has a bounded size
/// and never waits.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    standing: HashSet<EventKey>,
    /// Warnings whose beginning the publisher has taken, but not their end.
    heard: HashSet<EventKey>,
    unseen: HashMap<EventKey, Posted>,
}

/// A change of one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// It stands.
    Begin(Warning),
    /// It is over.
    End,
}

impl Board {
    /// A warning begins. If there is no room, it is counted and dropped.
    pub(super) fn post(&self, warning: &Warning) {
        let mut state = self.state();
        if state.standing.len() >= CAPACITY {
            metric::event_dropped();
            return;
        }
        let key = EventKey::of(warning);
        state.standing.insert(key);
        state.unseen.insert(key, Posted::Begin(warning.clone()));
        self.changed.notify_one();
    }

    /// A warning is over.
    pub(super) fn withdraw(&self, warning: &Warning) {
        let key = EventKey::of(warning);
        let mut state = self.state();
        if !state.standing.remove(&key) {
            return;
        }
        if state.heard.contains(&key) {
            state.unseen.insert(key, Posted::End);
            self.changed.notify_one();
        } else {
            state.unseen.remove(&key);
        }
    }

    /// Takes the pending changes.
    pub(super) fn take(&self) -> Vec<(EventKey, Posted)> {
        let mut state = self.state();
        let taken: Vec<_> = state.unseen.drain().collect();
        for (key, posted) in &taken {
            match posted {
                Posted::Begin(_) => state.heard.insert(*key),
                Posted::End => state.heard.remove(key),
            };
        }
        taken
    }

    /// Waits until there are pending changes.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warning::{ObjectKind, Regarding, WarningReason};
    use trimtab_core::objects::ObjectName;

    #[test]
    fn a_full_board_takes_no_more_and_has_room_again_once_something_is_over() {
        let board = Board::default();
        let warning = |number: usize| Warning {
            regarding: Regarding {
                kind: ObjectKind::Service,
                name: ObjectName::new("n", "web"),
                uid: number.to_string().into(),
            },
            reason: WarningReason::InvalidValue,
            note: "wrong".to_owned(),
        };
        for number in 0..=CAPACITY {
            board.post(&warning(number));
        }
        assert_eq!(board.take().len(), CAPACITY);
        // A warning that was dropped has no end either.
        board.withdraw(&warning(CAPACITY));
        assert!(board.take().is_empty());
        board.withdraw(&warning(0));
        board.post(&warning(CAPACITY));
        assert_eq!(board.take().len(), 2);
    }
}
