//! An object as it is kept: the JSON that goes out, and where in it the few interesting parts are.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Resource, protobuf};

const METADATA: &str = r#""metadata":"#;
const REVISION: &str = r#"{"resourceVersion":""#;
const LABELS: &str = r#","labels":"#;

/// One version of an object.
///
/// The bytes always have the same order:
/// `{"kind":K,"apiVersion":V,"metadata":{"resourceVersion":"N","labels":{...},...},...}`. So a new
/// revision is stamped, an item of a list cut out and a label looked up without parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    json: Bytes,
    /// The object as a message, once somebody has asked for it.
    protobuf: OnceLock<Bytes>,
    revision: u64,
    /// The value of `metadata`, braces included.
    metadata: Range<usize>,
    /// The value of `metadata.labels`, braces included; empty without labels.
    labels: Range<usize>,
}

/// The pieces of an object as the text of JSON objects, `{}` for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// `metadata.labels`.
    pub(crate) labels: &'a [u8],
    /// `metadata` without labels and resourceVersion.
    pub(crate) metadata: &'a [u8],
    /// Everything else but `kind` and `apiVersion`.
    pub(crate) body: &'a [u8],
}

impl Object {
    /// Lays out an object from its pieces.
    pub(crate) fn assemble(resource: Resource, revision: u64, parts: Parts<'_>) -> Self {
        let size = parts.labels.len() + parts.metadata.len() + parts.body.len() + 128;
        let mut json = Vec::with_capacity(size);
        json.extend_from_slice(head(resource).as_bytes());
        json.extend_from_slice(METADATA.as_bytes());
        let start = json.len();
        json.extend_from_slice(REVISION.as_bytes());
        json.extend_from_slice(revision.to_string().as_bytes());
        json.push(b'"');
        let labels = if members(parts.labels).is_empty() {
            json.len()..json.len()
        } else {
            json.extend_from_slice(LABELS.as_bytes());
            let start = json.len();
            json.extend_from_slice(parts.labels);
            start..json.len()
        };
        append_members(&mut json, parts.metadata);
        json.push(b'}');
        let metadata = start..json.len();
        append_members(&mut json, parts.body);
        json.push(b'}');
        Self { json: json.into(), protobuf: OnceLock::new(), revision, metadata, labels }
    }

    /// Serialises an object whose `metadata` is a map.
    pub(crate) fn encode(
        resource: Resource,
        revision: u64,
        mut object: Map<String, Value>,
    ) -> Self {
        let mut metadata = match object.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        metadata.remove("resourceVersion");
        let labels = metadata.remove("labels").filter(Value::is_object);
        object.remove("kind");
        object.remove("apiVersion");
        // Displaying a JSON value cannot fail.
        let labels = labels.map_or_else(|| "{}".to_owned(), |labels| labels.to_string());
        Self::assemble(
            resource,
            revision,
            Parts {
                labels: labels.as_bytes(),
                metadata: Value::Object(metadata).to_string().as_bytes(),
                body: Value::Object(object).to_string().as_bytes(),
            },
        )
    }

    /// The same object under another revision.
    pub(crate) fn restamped(&self, revision: u64) -> Self {
        let start = self.metadata.start + REVISION.len();
        let old_digits = self.json[start..].iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = revision.to_string();
        let mut json = Vec::with_capacity(self.json.len() + digits.len() - old_digits);
        json.extend_from_slice(&self.json[..start]);
        json.extend_from_slice(digits.as_bytes());
        json.extend_from_slice(&self.json[start + old_digits..]);
        let moved = |at: usize| at + digits.len() - old_digits;
        Self {
            json: json.into(),
            protobuf: OnceLock::new(),
            revision,
            metadata: self.metadata.start..moved(self.metadata.end),
            labels: moved(self.labels.start)..moved(self.labels.end),
        }
    }

    /// The revision that wrote it.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The whole object.
    pub(crate) fn json(&self) -> &Bytes {
        &self.json
    }

    /// The whole object as a message in protobuf, without an envelope; empty for kinds that are not
    /// served so.
    pub(crate) fn protobuf(&self, resource: Resource) -> &Bytes {
        self.protobuf.get_or_init(|| {
            let object = Value::Object(self.decode());
            protobuf::whole(resource, &object).unwrap_or_default().into()
        })
    }

    /// The object from `"metadata":` on: an item of a list is `{` and this, since an API server
    /// leaves `kind` and `apiVersion` out there.
    pub(crate) fn item(&self) -> &[u8] {
        &self.json[self.metadata.start - METADATA.len()..]
    }

    /// The value of `metadata`.
    pub(crate) fn metadata(&self) -> &[u8] {
        &self.json[self.metadata.clone()]
    }

    /// What follows `metadata`, as a JSON object.
    pub(crate) fn body(&self) -> Vec<u8> {
        let rest = &self.json[self.metadata.end..];
        let rest = rest.strip_prefix(b",").unwrap_or(rest);
        let mut body = Vec::with_capacity(rest.len() + 1);
        body.push(b'{');
        body.extend_from_slice(rest);
        body
    }

    /// Keys and values of the labels.
    ///
    /// Labels hold no character that JSON escapes (see `metadata::check_labels`), so every second
    /// piece between quotation marks is a key or a value.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = str::from_utf8(&self.json[self.labels.clone()]).unwrap_or_default();
        let mut quoted = text.split('"').skip(1).step_by(2);
        std::iter::from_fn(move || Some((quoted.next()?, quoted.next()?)))
    }

    /// The labels as a JSON object.
    pub(crate) fn labels_json(&self) -> &[u8] {
        if self.labels.is_empty() { b"{}" } else { &self.json[self.labels.clone()] }
    }

    /// The object as a value.
    pub(crate) fn decode(&self) -> Map<String, Value> {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}

fn head(resource: Resource) -> String {
    format!(r#"{{"kind":"{}","apiVersion":"{}","#, resource.kind(), resource.api_version())
}

/// A JSON object without its braces.
fn members(object: &[u8]) -> &[u8] {
    object.get(1..object.len().saturating_sub(1)).unwrap_or_default()
}

fn append_members(json: &mut Vec<u8>, object: &[u8]) {
    let members = members(object);
    if !members.is_empty() {
        json.push(b',');
        json.extend_from_slice(members);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value, revision: u64) -> Object {
        let Value::Object(map) = value else { panic!("not an object") };
        Object::encode(Resource::Services, revision, map)
    }

    #[test]
    fn the_parts_are_found_again() {
        let object = object(
            json!({
                "metadata": {"name": "web", "labels": {"app": "web", "tier": ""}},
                "spec": {"type": "ClusterIP"},
            }),
            41,
        );
        assert_eq!(
            str::from_utf8(object.json()).unwrap(),
            r#"{"kind":"Service","apiVersion":"v1","metadata":{"resourceVersion":"41","labels":{"app":"web","tier":""},"name":"web"},"spec":{"type":"ClusterIP"}}"#,
        );
        assert_eq!(object.labels().collect::<Vec<_>>(), [("app", "web"), ("tier", "")]);
        assert!(object.item().starts_with(br#""metadata":{"#));
        assert_eq!(object.body(), br#"{"spec":{"type":"ClusterIP"}}"#);
        assert!(object.metadata().ends_with(br#""name":"web"}"#));
    }

    #[test]
    fn a_stamp_is_the_same_as_encoding_again() {
        for labels in [json!({}), json!({"a": "b"})] {
            let value = json!({"metadata": {"name": "web", "labels": labels}, "spec": {"x": 1}});
            for (old, new) in [(9, 10), (1000, 7), (5, 5)] {
                let stamped = object(value.clone(), old).restamped(new);
                assert_eq!(stamped, object(value.clone(), new), "{old} -> {new}");
            }
        }
    }

    #[test]
    fn an_object_of_metadata_only_is_complete() {
        let object = object(json!({"metadata": {"name": "web"}}), 1);
        assert_eq!(object.decode()["metadata"]["name"], "web");
        assert_eq!(object.body(), b"{}");
        assert_eq!(object.labels().count(), 0);
    }
}
