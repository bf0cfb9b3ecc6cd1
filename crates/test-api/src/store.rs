//! All objects, one revision counter, and a history for each kind.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Resource;
use super::history::{Event, History};
use super::object::Object;

/// The state behind the API: what etcd and the watch cache are to an API server.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    /// Rung when something of a kind was written.
    bells: Vec<watch::Sender<()>>,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    revision: u64,
    collections: Vec<Collection>,
}

/// The objects of one kind by key, `namespace/name` or `name`.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) objects: BTreeMap<Arc<str>, Arc<Object>>,
    pub(crate) history: History,
}

impl Store {
    /// An empty store that remembers `history` writes of each kind.
    pub(crate) fn new(history: usize) -> Self {
        let collection =
            |_| Collection { objects: BTreeMap::new(), history: History::new(history) };
        Self {
            // An API server is never at revision 0, which means "any" in requests.
            state: Mutex::new(State {
                revision: 1,
                collections: Resource::ALL.map(collection).into(),
            }),
            bells: Resource::ALL.map(|_| watch::Sender::new(())).into(),
        }
    }

    /// Reads under the lock: everything at one moment.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Writes under the lock; watches are notified when `act` is done. What `act` has written
    /// stays, even if it then fails.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let mut state = self.lock();
        let mut written = [false; Resource::ALL.len()];
        let result = act(&mut Transaction { state: &mut state, written: &mut written });
        drop(state);
        for (bell, written) in self.bells.iter().zip(written) {
            if written {
                bell.send_replace(());
            }
        }
        result
    }

    /// Rings after each write to a kind.
    pub(crate) fn subscribe(&self, resource: Resource) -> watch::Receiver<()> {
        self.bells[resource as usize].subscribe()
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// One object.
    pub(crate) fn get(&self, resource: Resource, key: &str) -> Option<Arc<Object>> {
        self.lock().collection(resource).objects.get(key).cloned()
    }

    /// Forgets the past up to a revision, of every kind.
    pub(crate) fn compact(&self, revision: u64) {
        let mut state = self.lock();
        let revision = revision.min(state.revision);
        for collection in &mut state.collections {
            collection.history.compact(revision);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// All of one kind.
    pub(crate) fn collection(&self, resource: Resource) -> &Collection {
        &self.collections[resource as usize]
    }
}

impl Collection {
    /// The objects whose key begins with `prefix`, from `after` (excluded) on, in order of keys,
    /// seen through `undone`: objects as they were instead (see [`History::undo`]).
    pub(crate) fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        undone: &'a BTreeMap<Arc<str>, Option<Arc<Object>>>,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Object>)> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let bounds = (start, Bound::Unbounded);
        let mut present = self.objects.range::<str, _>(bounds).peekable();
        let mut past = undone.range::<str, _>(bounds).peekable();
        std::iter::from_fn(move || {
            loop {
                let (now, then) = (present.peek().map(|e| e.0), past.peek().map(|e| e.0));
                let is_undone = match (now, then) {
                    (Some(now), Some(then)) => then <= now,
                    (now, _) => now.is_none(),
                };
                if !is_undone {
                    return present.next().map(|(key, object)| (&**key, object));
                }
                let (key, object) = past.next()?;
                present.next_if(|(now, _)| *now == key);
                if let Some(object) = object {
                    return Some((&**key, object));
                }
            }
        })
        .take_while(move |(key, _)| key.starts_with(prefix))
    }
}

/// Writes under the lock.
pub(crate) struct Transaction<'a> {
    state: &'a mut State,
    written: &'a mut [bool; Resource::ALL.len()],
}

impl Transaction<'_> {
    /// Counts the revision on, and returns it.
    pub(crate) fn advance(&mut self) -> u64 {
        self.state.revision += 1;
        self.state.revision
    }

    /// Everything as it is.
    pub(crate) fn state(&self) -> &State {
        self.state
    }

    /// One object.
    pub(crate) fn get(&self, resource: Resource, key: &str) -> Option<Arc<Object>> {
        self.state.collection(resource).objects.get(key).cloned()
    }

    /// Puts an object, which carries its revision.
    pub(crate) fn put(&mut self, resource: Resource, key: &str, object: Object) -> Arc<Object> {
        let collection = &mut self.state.collections[resource as usize];
        let object = Arc::new(object);
        // The key is shared by the collection and all events about it.
        let key = match collection.objects.get_key_value(key) {
            Some((key, _)) => Arc::clone(key),
            None => Arc::from(key),
        };
        let previous = collection.objects.insert(Arc::clone(&key), Arc::clone(&object));
        collection.history.push(Event {
            revision: object.revision(),
            key,
            previous,
            object: Arc::clone(&object),
            is_removal: false,
        });
        self.written[resource as usize] = true;
        object
    }

    /// Takes an object away at a revision; its last state under that revision.
    pub(crate) fn remove(
        &mut self,
        resource: Resource,
        key: &str,
        revision: u64,
    ) -> Option<Arc<Object>> {
        let collection = &mut self.state.collections[resource as usize];
        let (key, previous) = collection.objects.remove_entry(key)?;
        let object = Arc::new(previous.restamped(revision));
        collection.history.push(Event {
            revision,
            key,
            previous: Some(previous),
            object: Arc::clone(&object),
            is_removal: true,
        });
        self.written[resource as usize] = true;
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const NODES: Resource = Resource::Nodes;

    fn put(store: &Store, key: &str) -> u64 {
        store.write(|tx| {
            let revision = tx.advance();
            tx.put(NODES, key, Object::encode(NODES, revision, Map::new())).revision()
        })
    }

    fn remove(store: &Store, key: &str) {
        store.write(|tx| {
            let revision = tx.advance();
            tx.remove(NODES, key, revision)
        });
    }

    fn seen_at(store: &Store, revision: u64, after: Option<&str>) -> Vec<(String, u64)> {
        store.read(|state| {
            let nodes = state.collection(NODES);
            let undone = nodes.history.undo(revision).unwrap();
            let range = nodes.range("", after, &undone);
            range.map(|(key, object)| (key.to_owned(), object.revision())).collect()
        })
    }

    #[test]
    fn the_past_stays_visible_while_the_present_moves_on() {
        let store = Store::new(100);
        let a = put(&store, "a");
        let c = put(&store, "c");
        let e = put(&store, "e");
        let past = vec![("a".to_owned(), a), ("c".to_owned(), c), ("e".to_owned(), e)];
        put(&store, "a");
        put(&store, "b");
        remove(&store, "c");
        put(&store, "f");
        remove(&store, "e");
        put(&store, "e");
        assert_eq!(seen_at(&store, e, None), past);
        assert_eq!(seen_at(&store, e, Some("a")), past[1..]);
        let now = seen_at(&store, store.revision(), None);
        assert_eq!(now.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["a", "b", "e", "f"]);
    }

    #[test]
    fn a_namespace_is_a_range_of_keys() {
        let store = Store::new(100);
        for key in ["a/x", "ab/x", "a/y", "b/x"] {
            put(&store, key);
        }
        store.read(|state| {
            let undone = BTreeMap::new();
            let range = state.collection(NODES).range("a/", None, &undone);
            assert_eq!(range.map(|(key, _)| key).collect::<Vec<_>>(), ["a/x", "a/y"]);
        });
    }

    #[test]
    fn only_watchers_of_the_written_kind_are_woken() {
        let store = Store::new(100);
        let (nodes, pods) = (store.subscribe(NODES), store.subscribe(Resource::Pods));
        put(&store, "a");
        assert!(nodes.has_changed().unwrap());
        assert!(!pods.has_changed().unwrap());
    }
}
