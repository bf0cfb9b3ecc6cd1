//! ObjectMeta: what the server checks and fills in.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Refusal, Resource};

/// Who hands in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// A client, over HTTP: uid, creationTimestamp and status are the server's to say.
    Client,
    /// The fixture itself: what is given stays, so that a test may choose the oldest of two.
    Fixture,
}

/// Which object a body is about, once it is known to be acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// Checks kind, name, namespace and labels against the path, and writes the names into the object.
///
/// `suffix` completes a `generateName`.
pub(crate) fn identify(
    resource: Resource,
    namespace: Option<&str>,
    name: Option<&str>,
    object: &mut Map<String, Value>,
    suffix: &str,
) -> Result<Identity, Refusal> {
    check_type(resource, object)?;
    let metadata = metadata_mut(object)?;
    let name = match (text(metadata, "name"), text(metadata, "generateName"), name) {
        (Some(given), _, Some(expected)) if given != expected => {
            return Err(Refusal::BadRequest(format!(
                "the name of the object ({given}) does not match the name on the URL ({expected})"
            )));
        }
        (Some(name), ..) | (None, _, Some(name)) => name.to_owned(),
        (None, Some(prefix), None) => format!("{prefix}{suffix}"),
        (None, None, None) => {
            return Err(invalid(resource, "", "metadata.name: Required value"));
        }
    };
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(invalid(resource, &name, "metadata.name: Invalid value"));
    }
    let namespace = if resource.is_namespaced() {
        Some(match (text(metadata, "namespace"), namespace) {
            (Some(given), Some(expected)) if given != expected => {
                return Err(Refusal::BadRequest(format!(
                    "the namespace of the provided object does not match the namespace sent on \
                     the request: {given} and {expected}"
                )));
            }
            (Some(namespace), _) | (None, Some(namespace)) => namespace.to_owned(),
            (None, None) => "default".to_owned(),
        })
    } else {
        None
    };
    if namespace.as_ref().is_some_and(|n| !n.bytes().all(is_name_byte)) {
        return Err(invalid(resource, &name, "metadata.namespace: Invalid value"));
    }
    check_labels(resource, &name, metadata)?;
    metadata.insert("name".into(), name.clone().into());
    if let Some(namespace) = &namespace {
        metadata.insert("namespace".into(), namespace.clone().into());
    }
    Ok(Identity { namespace, name })
}

/// Fills in what a new object gets.
pub(crate) fn bear(
    object: &mut Map<String, Value>,
    author: Author,
    now: Timestamp,
    uid: &str,
) -> Result<(), Refusal> {
    if author == Author::Client {
        object.remove("status");
    }
    let metadata = metadata_mut(object)?;
    if author == Author::Client {
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "generation"] {
            metadata.remove(field);
        }
    }
    fill(metadata, "uid", || uid.into());
    fill(metadata, "creationTimestamp", || seconds(now).into());
    fill(metadata, "generation", || 1.into());
    Ok(())
}

/// Carries into the next version of an object what only the server may change, and counts the
/// generation on if anything but metadata and status differs.
pub(crate) fn succeed(
    old: &Map<String, Value>,
    new: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let spec_differs = {
        let spec = |object: &Map<String, Value>| {
            let mut object = object.clone();
            for apart in ["metadata", "status", "kind", "apiVersion"] {
                object.remove(apart);
            }
            object
        };
        spec(old) != spec(new)
    };
    for member in ["kind", "apiVersion"] {
        if let Some(value) = old.get(member) {
            new.insert(member.into(), value.clone());
        }
    }
    let empty = Map::new();
    let old = old.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let metadata = metadata_mut(new)?;
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "resourceVersion", "generation"]
    {
        match old.get(field) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None => metadata.remove(field),
        };
    }
    if spec_differs {
        let generation = old.get("generation").and_then(Value::as_u64).unwrap_or(0) + 1;
        metadata.insert("generation".into(), generation.into());
    }
    Ok(())
}

/// Refuses a write that is meant for another version, or another bearer of the name.
pub(crate) fn check_preconditions(
    resource: Resource,
    name: &str,
    old: &Map<String, Value>,
    expected: &Map<String, Value>,
) -> Result<(), Refusal> {
    let empty = Map::new();
    let old = old.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let conflict =
        |reason: String| Err(Refusal::Conflict { resource, name: name.to_owned(), reason });
    match (text(expected, "uid"), text(old, "uid")) {
        (Some(wanted), Some(uid)) if wanted != uid => {
            return conflict(format!(
                "Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
            ));
        }
        _ => {}
    }
    match (text(expected, "resourceVersion"), text(old, "resourceVersion")) {
        (Some(wanted), Some(version)) if wanted != version => conflict(
            "the object has been modified; please apply your changes to the latest version and \
             try again"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether something still has to happen before the object may go.
pub(crate) fn has_finalizers(object: &Map<String, Value>) -> bool {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("finalizers"))
        .and_then(Value::as_array)
        .is_some_and(|finalizers| !finalizers.is_empty())
}

/// Whether the object has been told to go.
pub(crate) fn is_terminating(object: &Map<String, Value>) -> bool {
    object.get("metadata").is_some_and(|metadata| metadata.get("deletionTimestamp").is_some())
}

/// Tells the object to go.
pub(crate) fn terminate(object: &mut Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    let metadata = metadata_mut(object)?;
    metadata.insert("deletionTimestamp".into(), seconds(now).into());
    metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
    Ok(())
}

/// `metadata`, made if missing.
pub(crate) fn metadata_mut(
    object: &mut Map<String, Value>,
) -> Result<&mut Map<String, Value>, Refusal> {
    object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
        .ok_or_else(|| Refusal::BadRequest("metadata is not an object".into()))
}

/// A text field; empty counts as absent, as in Go.
pub(crate) fn text<'a>(map: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    map.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A uid in the form of an RFC 9562 version 4 UUID, the same for the same seed and number.
pub(crate) fn uid(seed: u64, number: u64) -> String {
    let high = mix(seed ^ number);
    let low = mix(high ^ number);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff,
    )
}

/// The finaliser of SplitMix64: scatters a counter over 64 bits.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// `metav1.Time`: RFC 3339 with seconds.
pub(crate) fn seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

fn check_type(resource: Resource, object: &Map<String, Value>) -> Result<(), Refusal> {
    let check = |field: &str, expected: &str| match text(object, field) {
        Some(given) if given != expected => Err(Refusal::BadRequest(format!(
            "the {field} in the data ({given}) does not match the expected {field} ({expected})"
        ))),
        _ => Ok(()),
    };
    check("apiVersion", &resource.api_version())?;
    check("kind", resource.kind())
}

/// Keys and values are what Kubernetes allows, as far as characters go; the store relies on it.
fn check_labels(
    resource: Resource,
    name: &str,
    metadata: &Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(labels) = metadata.get("labels").filter(|labels| !labels.is_null()) else {
        return Ok(());
    };
    let is_valid = |text: &str| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
    };
    let valid = labels.as_object().is_some_and(|labels| {
        labels.iter().all(|(key, value)| is_valid(key) && value.as_str().is_some_and(is_valid))
    });
    if valid {
        return Ok(());
    }
    Err(invalid(resource, name, &format!("metadata.labels: Invalid value: {labels}")))
}

fn invalid(resource: Resource, name: &str, what: &str) -> Refusal {
    Refusal::Invalid(format!("{} \"{name}\" is invalid: {what}", resource.kind()))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_')
}

fn fill(map: &mut Map<String, Value>, field: &str, value: impl FnOnce() -> Value) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    fn identify_service(value: Value) -> Result<Identity, Refusal> {
        identify(Resource::Services, Some("prod"), None, &mut map(value), "x7k2p")
    }

    #[test]
    fn a_name_may_be_generated() {
        let identity = identify_service(json!({"metadata": {"generateName": "web-"}})).unwrap();
        assert_eq!(identity.name, "web-x7k2p");
        assert_eq!(identity.namespace.as_deref(), Some("prod"));
    }

    #[test]
    fn what_contradicts_the_path_is_refused() {
        for (value, code) in [
            (json!({"metadata": {"name": "web", "namespace": "test"}}), 400),
            (json!({"kind": "Node", "metadata": {"name": "web"}}), 400),
            (json!({"apiVersion": "v2", "metadata": {"name": "web"}}), 400),
            (json!({"metadata": "web"}), 400),
            (json!({"metadata": {}}), 422),
            (json!({"metadata": {"name": "a/b"}}), 422),
            (json!({"metadata": {"name": "web", "labels": {"a": "\""}}}), 422),
            (json!({"metadata": {"name": "web", "labels": {"a": 1}}}), 422),
        ] {
            assert_eq!(identify_service(value.clone()).unwrap_err().code(), code, "{value}");
        }
    }

    #[test]
    fn only_a_change_of_the_spec_counts_the_generation_on() {
        let old = map(json!({"metadata": {"uid": "u", "generation": 3}, "spec": {"a": 1}}));
        let mut relabelled = map(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"a": 1}}));
        succeed(&old, &mut relabelled).unwrap();
        assert_eq!(relabelled["metadata"]["generation"], 3);
        assert_eq!(relabelled["metadata"]["uid"], "u");
        let mut changed = map(json!({"metadata": {"generation": 9}, "spec": {"a": 2}}));
        succeed(&old, &mut changed).unwrap();
        assert_eq!(changed["metadata"]["generation"], 4);
    }

    #[test]
    fn uids_differ_and_have_the_form() {
        let (a, b) = (uid(1, 1), uid(1, 2));
        assert_ne!(a, b);
        assert_eq!(a.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
