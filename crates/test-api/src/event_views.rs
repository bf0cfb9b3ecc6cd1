//! Events are one thing with two spellings: `v1` and `events.k8s.io/v1`. A write in one is seen in
//! both (Kubernetes' pkg/apis/events/v1/conversion.go).

use serde_json::{Map, Value, json};

use super::Resource;

/// The other spelling of a kind that has two.
pub(crate) fn counterpart(resource: Resource) -> Option<Resource> {
    match resource {
        Resource::Events => Some(Resource::EventsV1),
        Resource::EventsV1 => Some(Resource::Events),
        _ => None,
    }
}

/// `v1` name, `events.k8s.io/v1` name.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The same event in the spelling of `view`.
pub(crate) fn translate(mut event: Map<String, Value>, view: Resource) -> Map<String, Value> {
    let to_core = view == Resource::Events;
    for (core, new) in RENAMED {
        let (from, to) = if to_core { (new, core) } else { (core, new) };
        if let Some(value) = event.remove(from) {
            event.insert(to.into(), value);
        }
    }
    if to_core {
        event.entry("source").or_insert_with(|| json!({}));
    }
    event.insert("apiVersion".into(), view.api_version().into());
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        let Value::Object(event) = json!({
            "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": "web.1"},
            "regarding": {"kind": "Service", "name": "web"},
            "note": "no endpoints",
            "reason": "NoEndpoints",
            "deprecatedSource": {},
            "reportingController": "trimtab.dev/proxy",
        }) else {
            panic!("not an object")
        };
        let core = translate(event.clone(), Resource::Events);
        assert_eq!(core["involvedObject"]["name"], "web");
        assert_eq!(core["message"], "no endpoints");
        assert_eq!(core["apiVersion"], "v1");
        assert_eq!(translate(core, Resource::EventsV1), event);
    }
}
