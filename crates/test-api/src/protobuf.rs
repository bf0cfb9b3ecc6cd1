//! Objects in protobuf, as Kubernetes encodes them: byte for byte what an API server sends.
//!
//! | module | what it does |
//! |---|---|
//! | [`schema`] | the fields of messages, by name and number |
//! | [`encode`] | writing a JSON value as a message |
//! | [`envelope`] | what is around objects: lists, watch events, errors |

mod encode;
mod envelope;
mod schema;

use serde_json::Value;

use super::Resource;

pub(crate) use envelope::{bookmark, event, item, list_head, list_tail, status, unknown};

/// The message of a whole object, without its envelope; `None` for kinds that are only served as
/// JSON.
pub fn whole(resource: Resource, object: &Value) -> Option<Vec<u8>> {
    let message = schema::of(resource)?;
    Some(encode::message(message, object))
}

/// The message of an object's metadata (`PartialObjectMetadata`).
pub(crate) fn metadata(object: &Value) -> Vec<u8> {
    encode::message(&schema::PARTIAL, object)
}

/// Whether whole objects of this kind are served in protobuf.
pub(crate) fn serves(resource: Resource) -> bool {
    schema::of(resource).is_some()
}

/// An event of a watch, given as its line in JSON would be, as the frame that clients get which ask
/// for protobuf; `None` for kinds that are only served as JSON.
pub fn protobuf_frame(resource: Resource, event: &Value) -> Option<Vec<u8>> {
    let message = whole(resource, &event["object"])?;
    let unknown = unknown(&resource.api_version(), resource.kind(), &message);
    let mut frame = Vec::new();
    self::event(&mut frame, event["type"].as_str().unwrap_or_default(), &unknown);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            (
                &include_bytes!(concat!(
                    "../../trimtab-kube/tests/data/api-samples/",
                    $name,
                    ".json"
                ))[..],
                &include_bytes!(concat!(
                    "../../trimtab-kube/tests/data/api-samples/",
                    $name,
                    ".pb"
                ))[..],
            )
        };
    }

    #[test]
    fn a_list_is_what_a_real_server_sends_byte_for_byte() {
        for (resource, (json, protobuf)) in [
            (Resource::Services, sample!("services.list")),
            (Resource::Services, sample!("services.page1")),
            (Resource::EndpointSlices, sample!("endpointslices.list")),
            (Resource::Nodes, sample!("node.list")),
        ] {
            let list: Value = serde_json::from_slice(json).unwrap();
            let mut items = Vec::new();
            for object in list["items"].as_array().unwrap() {
                item(&mut items, &whole(resource, object).unwrap());
            }
            let kind = format!("{}List", resource.kind());
            let metadata = &list["metadata"];
            let mut found = list_head(&resource.api_version(), &kind, metadata, items.len());
            found.extend(items);
            list_tail(&mut found);
            assert_eq!(found, protobuf, "{resource:?}");
        }
    }

    #[test]
    fn metadata_is_what_a_real_server_sends_byte_for_byte() {
        let (json, protobuf) = sample!("nodes.metadata");
        let list: Value = serde_json::from_slice(json).unwrap();
        let mut items = Vec::new();
        for object in list["items"].as_array().unwrap() {
            item(&mut items, &metadata(object));
        }
        let kind = "PartialObjectMetadataList";
        let mut found = list_head("meta.k8s.io/v1", kind, &list["metadata"], items.len());
        found.extend(items);
        list_tail(&mut found);
        assert_eq!(found, protobuf);
    }

    #[test]
    fn events_are_what_a_real_server_sends_byte_for_byte() {
        for (resource, (json, protobuf)) in [
            (Resource::Services, sample!("services.watchlist")),
            (Resource::EndpointSlices, sample!("endpointslices.watchlist")),
            (Resource::EndpointSlices, sample!("endpointslices.watch")),
        ] {
            let mut found = Vec::new();
            for line in str::from_utf8(json).unwrap().lines() {
                let sent: Value = serde_json::from_str(line).unwrap();
                found.extend(protobuf_frame(resource, &sent).unwrap());
            }
            assert_eq!(found, protobuf, "{resource:?}");
        }
    }

    #[test]
    fn an_error_is_what_a_real_server_sends_byte_for_byte() {
        let (json, protobuf) = sample!("status-bad-continue");
        assert_eq!(status(&serde_json::from_slice(json).unwrap()), protobuf);
    }
}
