//! A warning as an Event.
//!
//! Every node of a cluster finds a problem that follows from the objects, so its Event has the same
//! name everywhere: the first node creates it, the others get "already exists".

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde_json::{Value, json};
use trimtab_core::StableHash;

use super::note::cut;
use super::{ObjectKind, Warning};

const CONTROLLER: &str = "trimtab";
/// The longest `reportingInstance`.
const LONGEST_INSTANCE: usize = 128;
/// The longest name is 253 bytes, of which the hash takes 17.
const LONGEST_STEM: usize = 236;

/// A key from a warning's content and object: equal warnings have equal keys on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EventKey(u64);

impl EventKey {
    pub(super) fn of(warning: &Warning) -> Self {
        let regarding = &warning.regarding;
        let hash = StableHash::new()
            .take(regarding.kind.as_str().as_bytes())
            .take(regarding.name.as_str().as_bytes())
            .take(regarding.uid.as_bytes())
            .take(warning.reason.as_str().as_bytes())
            .take(warning.note.as_bytes());
        Self(hash.finish())
    }

    /// A number from 0 to 1, fixed for this warning on this node.
    pub(super) fn fraction(self, node: &str, salt: u64) -> f64 {
        let hash = self.on(node).take(&salt.to_ne_bytes());
        f64::from(hash.finish_u32()) / f64::from(u32::MAX)
    }

    fn on(self, node: &str) -> StableHash {
        StableHash::new().take(&self.0.to_be_bytes()).take(node.as_bytes())
    }
}

/// The namespace of a warning's Event: the object's own, and `default` for a Node, where `kubectl
/// describe` looks.
pub(super) fn namespace(warning: &Warning) -> &str {
    match warning.regarding.kind {
        ObjectKind::Node => "default",
        ObjectKind::Service | ObjectKind::EndpointSlice => warning.regarding.name.namespace(),
    }
}

/// The name of a warning's Event: the object's name followed by a hash.
pub(super) fn name(warning: &Warning, node: &str) -> String {
    let key = EventKey::of(warning);
    let hash = if warning.reason.is_of_this_node() { key.on(node).finish() } else { key.0 };
    let stem = warning.regarding.name.name();
    let stem = cut(stem, LONGEST_STEM).trim_end_matches(['.', '-']);
    format!("{stem}.{hash:016x}")
}

/// The Event for its creation.
pub(super) fn event(warning: &Warning, node: &str, now: Timestamp) -> Event {
    let regarding = &warning.regarding;
    let instance = cut(node, LONGEST_INSTANCE);
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Event {
        metadata: ObjectMeta {
            name: Some(name(warning, node)),
            namespace: text(namespace(warning)),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: text("Warning"),
        reason: text(warning.reason.as_str()),
        action: text(warning.reason.action()),
        note: text(&warning.note),
        regarding: Some(ObjectReference {
            api_version: text(regarding.kind.api_version()),
            kind: text(regarding.kind.as_str()),
            namespace: text(regarding.name.namespace()),
            name: text(regarding.name.name()),
            uid: text(&regarding.uid),
            ..ObjectReference::default()
        }),
        reporting_controller: text(CONTROLLER),
        reporting_instance: text(instance),
        ..Event::default()
    }
}

/// The merge patch that repeats an Event for the `count`th time.
pub(super) fn repeat(count: u32, now: Timestamp) -> Value {
    json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warning::{Regarding, WarningReason};
    use trimtab_core::objects::ObjectName;

    fn warning(reason: WarningReason, name: &str) -> Warning {
        let name = ObjectName::new("shop", name);
        let regarding = Regarding { kind: ObjectKind::Service, name, uid: "1-2-3".into() };
        Warning { regarding, reason, note: "spec: wrong".to_owned() }
    }

    #[test]
    fn nodes_share_the_event_of_what_all_of_them_find() {
        let shared = warning(WarningReason::InvalidValue, "web");
        assert_eq!(name(&shared, "a"), name(&shared, "b"));
        let own = warning(WarningReason::HealthCheckPort, "web");
        assert_ne!(name(&own, "a"), name(&own, "b"));
        let other = Warning { note: "spec: otherwise".to_owned(), ..shared.clone() };
        assert_ne!(name(&shared, "a"), name(&other, "a"));
    }

    #[test]
    fn names_stay_within_what_the_api_allows() {
        let long = "a".repeat(235) + ".b";
        let name = name(&warning(WarningReason::InvalidValue, &long), "node");
        assert_eq!(name.len(), 235 + 17);
        let event = event(
            &warning(WarningReason::InvalidValue, "web"),
            &"n".repeat(253),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(event.reporting_instance.unwrap_or_default().len(), 128);
    }
}
