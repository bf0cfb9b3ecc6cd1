//! Lists: a page of the objects at one moment.

use std::sync::Arc;

use super::object::Object;
use super::options::{Moment, Page, Token};
use super::selector::Filter;
use super::store::Store;
use super::{Refusal, Resource};

/// A page.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The moment that it shows; a watch continues from here.
    pub(crate) revision: u64,
    pub(crate) objects: Vec<Arc<Object>>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<Token>,
}

/// Collects a page. All pages of one list show the same moment, however much is written meanwhile,
/// until the history no longer reaches back to it.
pub(crate) fn list(
    store: &Store,
    resource: Resource,
    filter: &Filter,
    page: &Page,
) -> Result<Listing, Refusal> {
    store.read(|state| {
        let current = state.revision();
        let (revision, token) = match &page.moment {
            Moment::Latest => (current, None),
            Moment::NotOlderThan(wanted) if *wanted <= current => (current, None),
            Moment::Exactly(wanted) if *wanted <= current => (*wanted, None),
            Moment::Continued(token) if token.revision <= current => (token.revision, Some(token)),
            Moment::NotOlderThan(wanted) | Moment::Exactly(wanted) => {
                return Err(Refusal::TooLarge { wanted: *wanted, current });
            }
            Moment::Continued(token) => {
                return Err(Refusal::TooLarge { wanted: token.revision, current });
            }
        };
        let collection = state.collection(resource);
        let undone = collection.history.undo(revision)?;
        let prefix = filter.namespace.as_ref().filter(|_| resource.is_namespaced());
        let prefix = prefix.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let after = token.map(|token| &*token.after);
        let chosen = |(key, object): &(&str, &Arc<Object>)| filter.matches(key, object);
        let mut rest = collection.range(&prefix, after, &undone).filter(chosen);

        let mut objects = Vec::new();
        let mut last = "";
        let limit = page.limit.unwrap_or(usize::MAX);
        for (key, object) in rest.by_ref().take(limit) {
            objects.push(Arc::clone(object));
            last = key;
        }
        let next = (objects.len() == limit && rest.next().is_some()).then(|| Token {
            revision,
            remaining: filter.is_unselective().then(|| {
                // Counted once; the moment does not change between pages.
                token.and_then(|token| token.remaining).map_or_else(
                    || rest.count() + 1,
                    |remaining| remaining.saturating_sub(objects.len()),
                )
            }),
            after: last.to_owned(),
        });
        Ok(Listing { revision, objects, next })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const NODES: Resource = Resource::Nodes;

    fn put(store: &Store, key: &str) {
        store.write(|tx| {
            let revision = tx.advance();
            tx.put(NODES, key, Object::encode(NODES, revision, Map::new()));
        });
    }

    fn first_page(store: &Store) -> Listing {
        let page = Page { moment: Moment::Latest, limit: Some(2) };
        list(store, NODES, &Filter::default(), &page).unwrap()
    }

    fn next_page(store: &Store, listing: &Listing) -> Result<Listing, Refusal> {
        let token = listing.next.clone().expect("there is a next page");
        let page = Page { moment: Moment::Continued(token), limit: Some(2) };
        list(store, NODES, &Filter::default(), &page)
    }

    #[test]
    fn pages_show_one_moment_and_count_what_is_left() {
        let store = Store::new(100);
        for key in ["a", "b", "c", "d", "e"] {
            put(&store, key);
        }
        let first = first_page(&store);
        put(&store, "bb");
        put(&store, "d");
        let second = next_page(&store, &first).unwrap();
        let third = next_page(&store, &second).unwrap();
        let remaining = |listing: &Listing| listing.next.as_ref().map(|token| token.remaining);
        assert_eq!([&first, &second, &third].map(remaining), [Some(Some(3)), Some(Some(1)), None]);
        assert_eq!([&first, &second, &third].map(|page| page.objects.len()), [2, 2, 1]);
        assert_eq!(third.revision, first.revision);
        assert!(second.objects.iter().all(|object| object.revision() <= first.revision));
    }

    #[test]
    fn a_page_of_a_compacted_moment_has_expired() {
        let store = Store::new(100);
        for key in ["a", "b", "c"] {
            put(&store, key);
        }
        let first = first_page(&store);
        put(&store, "d");
        store.compact(store.revision());
        assert!(next_page(&store, &first).unwrap_err().is_expired());
    }

    #[test]
    fn a_full_last_page_has_no_next() {
        let store = Store::new(100);
        put(&store, "a");
        put(&store, "b");
        assert!(first_page(&store).next.is_none());
    }

    #[test]
    fn the_future_is_refused() {
        let page = Page { moment: Moment::NotOlderThan(1000), limit: None };
        let refusal = list(&Store::new(1), NODES, &Filter::default(), &page).unwrap_err();
        assert_eq!(refusal.code(), 504);
    }
}
