//! Changes one endpoint in place: benchmarks send thousands of such events.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::object::{Object, Parts};
use super::store::Store;
use super::{Refusal, Resource};

/// The annotation from which kube-proxy computes its programming latency
/// (`EndpointsLastChangeTriggerTime` in Kubernetes' core/v1/annotation_key_constants.go).
pub(crate) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What happens to an endpoint. `index` counts the endpoints of the slice from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointChange {
    /// It becomes ready or not ready.
    Ready {
        /// Which one.
        index: usize,
        /// Whether it is ready from now on.
        ready: bool,
    },
    /// Another pod takes its place.
    Address {
        /// Which one.
        index: usize,
        /// The address of the other pod.
        address: IpAddr,
    },
    /// A ready endpoint is added at the end.
    Add {
        /// Its address.
        address: IpAddr,
        /// Its node.
        node: String,
    },
    /// It goes.
    Remove {
        /// Which one.
        index: usize,
    },
}

/// A change that watches are being told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedSlice {
    /// The resourceVersion of the changed slice.
    pub revision: u64,
    /// The moment before the change.
    pub at: Instant,
}

/// Changes an endpoint of a slice.
pub(crate) fn change(
    store: &Store,
    slice: &str,
    change: &EndpointChange,
    now: Timestamp,
    at: Instant,
) -> Result<ChangedSlice, Refusal> {
    let resource = Resource::EndpointSlices;
    store.write(|tx| {
        let Some(old) = tx.get(resource, slice) else {
            let name = slice.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(Refusal::NotFound { resource, name });
        };
        let metadata = stamped(old.metadata(), now)?;
        let body = changed(&old.body(), change)?;
        let labels = old.labels_json();
        let revision = tx.advance();
        let parts = Parts { labels, metadata: metadata.as_bytes(), body: body.as_bytes() };
        tx.put(resource, slice, Object::assemble(resource, revision, parts));
        Ok(ChangedSlice { revision, at })
    })
}

/// Metadata without resourceVersion and labels, with the next generation and the time.
fn stamped(metadata: &[u8], now: Timestamp) -> Result<String, Refusal> {
    let mut members: BTreeMap<&str, Cow<'_, str>> = members(metadata)?;
    members.remove("resourceVersion");
    members.remove("labels");
    let generation = members.get("generation").and_then(|g| g.parse().ok()).unwrap_or(0_u64) + 1;
    members.insert("generation", generation.to_string().into());
    let mut annotations: BTreeMap<String, Value> = match members.get("annotations") {
        Some(annotations) => serde_json::from_str(annotations).map_err(|e| malformed(&e))?,
        None => BTreeMap::new(),
    };
    annotations.insert(TRIGGER_TIME.to_owned(), format!("{now:.9}").into());
    members.insert("annotations", json!(annotations).to_string().into());
    Ok(joined(&members))
}

/// The rest of a slice, with one endpoint changed.
fn changed(body: &[u8], change: &EndpointChange) -> Result<String, Refusal> {
    let mut members = members(body)?;
    let endpoints = members.get("endpoints").map_or("[]", |endpoints| &**endpoints);
    let endpoints: Option<Vec<&RawValue>> =
        serde_json::from_str(endpoints).map_err(|e| malformed(&e))?;
    let mut endpoints: Vec<Cow<'_, str>> =
        endpoints.unwrap_or_default().into_iter().map(|raw| Cow::Borrowed(raw.get())).collect();
    let count = endpoints.len();
    let at = |index: usize| {
        if index < count {
            return Ok(index);
        }
        Err(Refusal::BadRequest(format!("endpoint {index} of a slice with {count} endpoints")))
    };
    match change {
        EndpointChange::Ready { index, ready } => {
            let endpoint = &mut endpoints[at(*index)?];
            *endpoint = edited(endpoint, |endpoint| {
                endpoint["conditions"]["ready"] = (*ready).into();
                endpoint["conditions"]["serving"] = (*ready).into();
            })?;
        }
        EndpointChange::Address { index, address } => {
            let endpoint = &mut endpoints[at(*index)?];
            *endpoint = edited(endpoint, |endpoint| endpoint["addresses"] = json!([address]))?;
        }
        EndpointChange::Add { address, node } => {
            let conditions = json!({"ready": true, "serving": true, "terminating": false});
            let endpoint =
                json!({"addresses": [address], "conditions": conditions, "nodeName": node});
            endpoints.push(endpoint.to_string().into());
        }
        EndpointChange::Remove { index } => {
            endpoints.remove(at(*index)?);
        }
    }
    let endpoints = format!("[{}]", endpoints.join(","));
    members.insert("endpoints", endpoints.into());
    Ok(joined(&members))
}

fn edited(endpoint: &str, edit: impl FnOnce(&mut Value)) -> Result<Cow<'static, str>, Refusal> {
    let mut value: Value = serde_json::from_str(endpoint).map_err(|e| malformed(&e))?;
    if !value.is_object() {
        return Err(Refusal::BadRequest(format!("not an endpoint: {endpoint}")));
    }
    edit(&mut value);
    Ok(value.to_string().into())
}

/// The members of an object as text.
fn members(object: &[u8]) -> Result<BTreeMap<&str, Cow<'_, str>>, Refusal> {
    let members: BTreeMap<&str, &RawValue> =
        serde_json::from_slice(object).map_err(|e| malformed(&e))?;
    Ok(members.into_iter().map(|(name, raw)| (name, Cow::Borrowed(raw.get()))).collect())
}

fn joined(members: &BTreeMap<&str, Cow<'_, str>>) -> String {
    let size: usize = members.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut text = String::with_capacity(size + 2);
    text.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        text.push_str(name);
        text.push_str("\":");
        text.push_str(value);
    }
    text.push('}');
    text
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::BadRequest(format!("the slice is not what a slice looks like: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "default/web-1";

    fn store() -> Store {
        let store = Store::new(10);
        let slice = json!({
            "metadata": {"name": "web-1", "labels": {"a": "b"}, "generation": 4},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n"}, {"addresses": ["10.0.0.2"]}],
            "ports": [{"port": 80}],
        });
        let Value::Object(slice) = slice else { panic!("not an object") };
        let resource = Resource::EndpointSlices;
        store.write(|tx| {
            let revision = tx.advance();
            tx.put(resource, KEY, Object::encode(resource, revision, slice));
        });
        store
    }

    fn after(changes: &[EndpointChange]) -> Value {
        let store = store();
        for each in changes {
            change(&store, KEY, each, Timestamp::UNIX_EPOCH, Instant::now()).unwrap();
        }
        Value::Object(store.get(Resource::EndpointSlices, KEY).unwrap().decode())
    }

    #[test]
    fn only_the_endpoint_and_the_stamps_change() {
        let slice = after(&[EndpointChange::Ready { index: 1, ready: false }]);
        assert_eq!(
            slice,
            json!({
                "kind": "EndpointSlice",
                "apiVersion": "discovery.k8s.io/v1",
                "metadata": {
                    "name": "web-1", "labels": {"a": "b"}, "generation": 5,
                    "resourceVersion": "3",
                    "annotations": {TRIGGER_TIME: "1970-01-01T00:00:00.000000000Z"},
                },
                "addressType": "IPv4",
                "endpoints": [
                    {"addresses": ["10.0.0.1"], "nodeName": "n"},
                    {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": false}},
                ],
                "ports": [{"port": 80}],
            })
        );
    }

    #[test]
    fn endpoints_come_go_and_move() {
        let address: IpAddr = "10.0.0.9".parse().unwrap();
        let slice = after(&[
            EndpointChange::Remove { index: 0 },
            EndpointChange::Add { address: "10.0.0.3".parse().unwrap(), node: "m".into() },
            EndpointChange::Address { index: 0, address },
        ]);
        assert_eq!(slice["endpoints"][0]["addresses"], json!(["10.0.0.9"]));
        assert_eq!(slice["endpoints"][1]["nodeName"], "m");
        assert_eq!(slice["endpoints"].as_array().unwrap().len(), 2);
        assert_eq!(slice["metadata"]["generation"], 7);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let (store, now) = (store(), Timestamp::UNIX_EPOCH);
        let remove = |key: &str, index| {
            change(&store, key, &EndpointChange::Remove { index }, now, Instant::now())
        };
        assert!(remove("default/other", 0).unwrap_err().is_not_found());
        assert_eq!(remove(KEY, 2).unwrap_err().code(), 400);
    }
}
