//! From the loop to the meter: which Service port has which frontend, and which virtual servers are
//! new.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::{HashMap, HashSet};
use trimtab_core::Frontend;
use trimtab_reconcile::Owner;

/// What has changed since the meter last took it. The loop adds to it and never waits: the meter
/// holds the lock only while it takes it.
#[derive(Debug, Default)]
pub struct Owners(Mutex<Changes>);

/// Changes of frontends.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The Service port that has a frontend now; `None` for one that nobody has any more.
    pub(crate) owners: HashMap<Frontend, Option<Owner>>,
    /// Frontends whose virtual servers were made, so that their counters began at zero.
    pub(crate) made: HashSet<Frontend>,
}

impl Owners {
    /// Adds changes of owners.
    pub(crate) fn tell(&self, changed: Vec<(Frontend, Option<Owner>)>) {
        if !changed.is_empty() {
            self.changes().owners.extend(changed);
        }
    }

    /// Adds virtual servers that were made.
    pub(crate) fn tell_made(&self, frontends: impl IntoIterator<Item = Frontend>) {
        let mut frontends = frontends.into_iter().peekable();
        if frontends.peek().is_some() {
            self.changes().made.extend(frontends);
        }
    }

    /// Takes the changes.
    pub(crate) fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
