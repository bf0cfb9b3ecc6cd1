//! Create, update and delete: what happens to an object between the request and the store.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::metadata::{self, Author};
use super::object::Object;
use super::selector::Filter;
use super::store::{Store, Transaction};
use super::{Refusal, Resource, defaults, event_views};

/// The one object that a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

/// Which half of an object an update may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Everything; or, for a client and a kind with a status, everything else.
    Main,
    /// The status.
    Status,
}

/// What is the same for every write of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) author: Author,
    pub(crate) now: Timestamp,
    /// Makes uids differ between servers.
    pub(crate) seed: u64,
}

impl Target<'_> {
    fn key(&self) -> String {
        self.resource.key(self.namespace, self.name)
    }

    fn not_found(&self) -> Refusal {
        Refusal::NotFound { resource: self.resource, name: self.name.to_owned() }
    }
}

/// Adds an object.
pub(crate) fn create(
    store: &Store,
    resource: Resource,
    namespace: Option<&str>,
    mut object: Map<String, Value>,
    context: Context,
) -> Result<Arc<Object>, Refusal> {
    store.write(|tx| {
        let number = tx.state().revision() + 1;
        let uid = metadata::uid(context.seed, number);
        let identity = metadata::identify(resource, namespace, None, &mut object, &uid[..5])?;
        let key = resource.key(identity.namespace.as_deref(), &identity.name);
        if tx.get(resource, &key).is_some() {
            return Err(Refusal::AlreadyExists { resource, name: identity.name });
        }
        metadata::bear(&mut object, context.author, context.now, &uid)?;
        complete(tx, resource, &mut object, None);
        Ok(put(tx, resource, &key, object))
    })
}

/// Replaces an object by what `change` makes of it. Nothing is written if that is the same.
pub(crate) fn update(
    store: &Store,
    target: Target<'_>,
    half: Half,
    context: Context,
    change: impl FnOnce(Map<String, Value>) -> Result<Map<String, Value>, Refusal>,
) -> Result<Arc<Object>, Refusal> {
    store.write(|tx| {
        let Target { resource, namespace, name } = target;
        let key = target.key();
        let current = tx.get(resource, &key).ok_or_else(|| target.not_found())?;
        let old = current.decode();
        let mut new = change(old.clone())?;
        metadata::identify(resource, namespace, Some(name), &mut new, "")?;
        metadata::check_preconditions(resource, name, &old, metadata::metadata_mut(&mut new)?)?;
        if resource.definition().has_status {
            match (half, context.author) {
                (Half::Status, _) => {
                    let status = new.remove("status");
                    new.clone_from(&old);
                    set(&mut new, "status", status);
                }
                (Half::Main, Author::Client) => {
                    set(&mut new, "status", old.get("status").cloned());
                }
                (Half::Main, Author::Fixture) => {}
            }
        }
        // First, so that what the client left out does not count as a change.
        complete(tx, resource, &mut new, Some(&old));
        metadata::succeed(&old, &mut new)?;
        if new == old {
            return Ok(current);
        }
        if metadata::is_terminating(&new) && !metadata::has_finalizers(&new) {
            put(tx, resource, &key, new);
            return take(tx, resource, &key).ok_or_else(|| target.not_found());
        }
        Ok(put(tx, resource, &key, new))
    })
}

/// The result of a deletion.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// The object is gone; its last state.
    Done(Arc<Object>),
    /// The object waits for its finalizers.
    Pending(Arc<Object>),
}

/// Removes an object, or marks it if finalizers hold it. `preconditions` is the member of that name
/// of DeleteOptions.
pub(crate) fn delete(
    store: &Store,
    target: Target<'_>,
    preconditions: &Map<String, Value>,
    context: Context,
) -> Result<Deletion, Refusal> {
    store.write(|tx| delete_within(tx, target, preconditions, context))
}

/// Removes all objects that a filter chooses; returns them in their last state.
pub(crate) fn delete_collection(
    store: &Store,
    resource: Resource,
    filter: &Filter,
    context: Context,
) -> Result<Vec<Arc<Object>>, Refusal> {
    store.write(|tx| {
        let objects = &tx.state().collection(resource).objects;
        let chosen: Vec<Arc<str>> = objects
            .iter()
            .filter(|(key, object)| filter.matches(key, object))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        chosen
            .iter()
            .map(|key| {
                let (namespace, name) = match key.split_once('/') {
                    Some((namespace, name)) => (Some(namespace), name),
                    None => (None, &**key),
                };
                let target = Target { resource, namespace, name };
                match delete_within(tx, target, &Map::new(), context)? {
                    Deletion::Done(object) | Deletion::Pending(object) => Ok(object),
                }
            })
            .collect()
    })
}

fn delete_within(
    tx: &mut Transaction<'_>,
    target: Target<'_>,
    preconditions: &Map<String, Value>,
    context: Context,
) -> Result<Deletion, Refusal> {
    let Target { resource, name, .. } = target;
    let key = target.key();
    let current = tx.get(resource, &key).ok_or_else(|| target.not_found())?;
    let mut object = current.decode();
    metadata::check_preconditions(resource, name, &object, preconditions)?;
    if metadata::has_finalizers(&object) {
        if metadata::is_terminating(&object) {
            return Ok(Deletion::Pending(current));
        }
        metadata::terminate(&mut object, context.now)?;
        return Ok(Deletion::Pending(put(tx, resource, &key, object)));
    }
    take(tx, resource, &key).map(Deletion::Done).ok_or_else(|| target.not_found())
}

fn complete(
    tx: &Transaction<'_>,
    resource: Resource,
    object: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
) {
    if resource != Resource::Services {
        return;
    }
    let services = &tx.state().collection(Resource::Services).objects;
    let is_taken = |text: &str| {
        services.values().any(|s| str::from_utf8(s.json()).is_ok_and(|json| json.contains(text)))
    };
    let from = usize::try_from(tx.state().revision()).unwrap_or_default();
    let allocator = defaults::Allocator { is_taken: &is_taken, from };
    defaults::complete_service(object, old, &allocator);
}

/// Writes at a new revision, in both spellings if the kind has two.
fn put(
    tx: &mut Transaction<'_>,
    resource: Resource,
    key: &str,
    object: Map<String, Value>,
) -> Arc<Object> {
    let revision = tx.advance();
    if let Some(view) = event_views::counterpart(resource) {
        let translated = event_views::translate(object.clone(), view);
        tx.put(view, key, Object::encode(view, revision, translated));
    }
    tx.put(resource, key, Object::encode(resource, revision, object))
}

fn take(tx: &mut Transaction<'_>, resource: Resource, key: &str) -> Option<Arc<Object>> {
    let revision = tx.advance();
    if let Some(view) = event_views::counterpart(resource) {
        tx.remove(view, key, revision);
    }
    tx.remove(resource, key, revision)
}

fn set(object: &mut Map<String, Value>, member: &str, value: Option<Value>) {
    match value {
        Some(value) => object.insert(member.to_owned(), value),
        None => object.remove(member),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SERVICES: Resource = Resource::Services;
    const CLIENT: Context = Context { author: Author::Client, now: Timestamp::UNIX_EPOCH, seed: 7 };
    const WEB: Target<'_> = Target { resource: SERVICES, namespace: Some("default"), name: "web" };

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    fn store_with(object: Value) -> Store {
        let store = Store::new(100);
        create(&store, SERVICES, None, map(object), CLIENT).unwrap();
        store
    }

    fn web() -> Value {
        json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.1"}})
    }

    #[test]
    fn an_update_without_a_change_writes_nothing() {
        let store = store_with(web());
        let before = store.revision();
        update(&store, WEB, Half::Main, CLIENT, Ok).unwrap();
        update(&store, WEB, Half::Main, CLIENT, |_| Ok(map(web()))).unwrap();
        assert_eq!(store.revision(), before);
    }

    #[test]
    fn status_and_spec_are_changed_apart() {
        let store = store_with(web());
        let both = |_| {
            Ok(map(json!({"spec": {"clusterIP": "10.96.0.2"}, "status": {"loadBalancer": {}}})))
        };
        let object = update(&store, WEB, Half::Status, CLIENT, both).unwrap().decode();
        assert_eq!(object["spec"]["clusterIP"], "10.96.0.1");
        assert_eq!(object["status"], json!({"loadBalancer": {}}));
        let object = update(&store, WEB, Half::Main, CLIENT, |_| Ok(map(web()))).unwrap().decode();
        assert_eq!(object["status"], json!({"loadBalancer": {}}));
    }

    #[test]
    fn a_stale_version_conflicts() {
        let store = store_with(web());
        let stale = |_| {
            let mut object = map(web());
            object["metadata"]["resourceVersion"] = "1".into();
            Ok(object)
        };
        let refusal = update(&store, WEB, Half::Main, CLIENT, stale).unwrap_err();
        assert!(refusal.is_conflict(), "{refusal}");
        let preconditions = map(json!({"uid": "somebody else"}));
        assert!(delete(&store, WEB, &preconditions, CLIENT).unwrap_err().is_conflict());
    }

    #[test]
    fn finalizers_hold_an_object_until_they_are_gone() {
        let mut held = web();
        held["metadata"]["finalizers"] = json!(["example.com/hold"]);
        let store = store_with(held);
        let deletion = delete(&store, WEB, &Map::new(), CLIENT).unwrap();
        let Deletion::Pending(object) = deletion else { panic!("{deletion:?}") };
        assert!(metadata::is_terminating(&object.decode()));
        update(&store, WEB, Half::Main, CLIENT, |mut object| {
            object["metadata"]["finalizers"] = json!([]);
            Ok(object)
        })
        .unwrap();
        assert!(store.get(SERVICES, "default/web").is_none());
    }

    #[test]
    fn an_event_is_seen_in_both_groups() {
        let store = Store::new(100);
        let event = json!({"metadata": {"name": "e"}, "regarding": {"name": "web"}, "note": "hi"});
        let event =
            create(&store, Resource::EventsV1, Some("default"), map(event), CLIENT).unwrap();
        let core = store.get(Resource::Events, "default/e").unwrap();
        assert_eq!(core.revision(), event.revision());
        assert_eq!(core.decode()["involvedObject"]["name"], "web");
        let target = Target { resource: Resource::Events, namespace: Some("default"), name: "e" };
        delete(&store, target, &Map::new(), CLIENT).unwrap();
        assert!(store.get(Resource::EventsV1, "default/e").is_none());
    }
}
