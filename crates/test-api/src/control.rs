//! The controls under `/_fixture/`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Refusal;
use super::faults::{Cut, Faults};
use super::response::{self, Body};
use super::shared::Shared;

/// Things that happen once: `POST /_fixture/actions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[derive(Default)]
struct Actions {
    drop_watches: Option<Cut>,
    /// True for everything up to now, or a revision.
    compact: Option<Value>,
    refuse_connections_ms: Option<u64>,
}

/// Answers a request for `/_fixture/{what}`.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    method: &Method,
    what: &str,
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    let document = match (method.as_str(), what) {
        ("GET", "counters") => shared.counters.borrow().to_json(),
        ("GET", "faults") => in_force(shared),
        ("PUT", "faults") => {
            *shared.faults() = parse::<Faults>(body)?;
            in_force(shared)
        }
        ("DELETE", "faults") => {
            shared.faults().clear();
            in_force(shared)
        }
        ("POST", "actions") => {
            act(shared, &parse(body)?)?;
            json!({"revision": shared.store.revision()})
        }
        (_, "counters" | "faults" | "actions") => return Err(Refusal::MethodNotAllowed),
        _ => return Err(Refusal::NotServed),
    };
    Ok(response::json(StatusCode::OK, &document))
}

fn act(shared: &Shared, actions: &Actions) -> Result<(), Refusal> {
    match &actions.compact {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => shared.store.compact(shared.store.revision()),
        Some(other) => shared.store.compact(other.as_u64().ok_or_else(|| {
            Refusal::BadRequest(format!("compact: {other} is neither true nor a revision"))
        })?),
    }
    if let Some(cut) = actions.drop_watches {
        shared.drop_watches(cut);
    }
    if let Some(milliseconds) = actions.refuse_connections_ms {
        shared.refuse_connections(Duration::from_millis(milliseconds));
    }
    Ok(())
}

fn in_force(shared: &Shared) -> Value {
    serde_json::to_value(&*shared.faults()).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::BadRequest(format!("the body is not understood: {error}")))
}
