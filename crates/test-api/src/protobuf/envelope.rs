//! What Kubernetes puts around objects
//! (apimachinery: pkg/runtime/generated.proto, pkg/apis/meta/v1/generated.proto).

use serde_json::{Value, json};

use super::encode::{message, put_bytes, put_head};
use super::schema;

const MAGIC: &[u8] = b"k8s\0";
/// `contentEncoding` and `contentType` of an envelope, which are empty.
const TAIL: &[u8] = &[0x1a, 0, 0x22, 0];

/// An object on its own: `runtime.Unknown`.
pub(crate) fn unknown(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = unknown_head(api_version, kind, object.len());
    out.extend_from_slice(object);
    out.extend_from_slice(TAIL);
    out
}

fn unknown_head(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut types = Vec::new();
    put_bytes(&mut types, 1, api_version.as_bytes());
    put_bytes(&mut types, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put_bytes(&mut out, 1, &types);
    put_head(&mut out, 2, length);
    out
}

/// The beginning of a list whose items, as [`item`] writes them, have this length together.
pub(crate) fn list_head(api_version: &str, kind: &str, metadata: &Value, items: usize) -> Vec<u8> {
    let mut list = Vec::new();
    put_bytes(&mut list, 1, &message(&schema::LIST_METADATA, metadata));
    let mut out = unknown_head(api_version, kind, list.len() + items);
    out.extend_from_slice(&list);
    out
}

/// An item of a list.
pub(crate) fn item(out: &mut Vec<u8>, object: &[u8]) {
    put_bytes(out, 2, object);
}

/// The end of a list.
pub(crate) fn list_tail(out: &mut Vec<u8>) {
    out.extend_from_slice(TAIL);
}

/// An event of a watch, with an object in its envelope: a length and a `WatchEvent`.
pub(crate) fn event(out: &mut Vec<u8>, kind: &str, unknown: &[u8]) {
    let mut extension = Vec::new();
    put_bytes(&mut extension, 1, unknown);
    let mut event = Vec::new();
    put_bytes(&mut event, 1, kind.as_bytes());
    put_bytes(&mut event, 2, &extension);
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&event);
}

/// The object of a bookmark.
pub(crate) fn bookmark(revision: u64, ends_initial: bool) -> Value {
    let annotations =
        if ends_initial { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    json!({"metadata": {"resourceVersion": revision.to_string(), "annotations": annotations}})
}

/// A `Status` in its envelope.
pub(crate) fn status(status: &Value) -> Vec<u8> {
    unknown("v1", "Status", &message(&schema::STATUS, status))
}
