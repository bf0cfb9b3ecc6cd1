//! Tables: the columns that `kubectl get` shows (Kubernetes' pkg/printers/internalversion).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Refusal, Resource};

/// How much of the object goes with a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    Nothing,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// The values of `includeObject`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "None" => Ok(Self::Nothing),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            _ => Err(Refusal::BadRequest(format!("includeObject: unknown value {text:?}"))),
        }
    }
}

/// Name, and 1 for what only `-o wide` shows.
type Column = (&'static str, u8);

fn layout(resource: Resource) -> &'static [Column] {
    match resource {
        Resource::Services => &[
            ("Name", 0),
            ("Type", 0),
            ("Cluster-IP", 0),
            ("External-IP", 0),
            ("Port(s)", 0),
            ("Age", 0),
            ("Selector", 1),
        ],
        Resource::EndpointSlices => {
            &[("Name", 0), ("AddressType", 0), ("Ports", 0), ("Endpoints", 0), ("Age", 0)]
        }
        Resource::Nodes => &[("Name", 0), ("Status", 0), ("Age", 0), ("Internal-IP", 1)],
        Resource::Pods => &[("Name", 0), ("Status", 0), ("Age", 0), ("IP", 1), ("Node", 1)],
        Resource::Events => {
            &[("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0), ("Message", 0)]
        }
        _ => &[("Name", 0), ("Age", 0)],
    }
}

/// The `columnDefinitions` of a kind.
pub(crate) fn columns(resource: Resource) -> Value {
    layout(resource)
        .iter()
        .map(|(name, priority)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({
                "name": name, "type": "string", "format": format, "description": "",
                "priority": priority,
            })
        })
        .collect()
}

/// The `cells` of an object, one for each column.
pub(crate) fn cells(resource: Resource, object: &Map<String, Value>, now: Timestamp) -> Value {
    let object = &Value::Object(object.clone());
    layout(resource).iter().map(|(column, _)| Value::from(cell(column, object, now))).collect()
}

fn cell(column: &str, object: &Value, now: Timestamp) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("<none>");
    match column {
        "Name" => text("/metadata/name").to_owned(),
        "Age" => age(object.pointer("/metadata/creationTimestamp"), now),
        "Cluster-IP" => text("/spec/clusterIP").to_owned(),
        "External-IP" => external_addresses(object),
        "Port(s)" => join(object, "/spec/ports", service_port),
        "Selector" => selector(object),
        "AddressType" => text("/addressType").to_owned(),
        "Ports" => join(object, "/ports", |port| scalar(port, "port")),
        "Endpoints" => join_first(object, "/endpoints", |endpoint| {
            endpoint.pointer("/addresses/0").and_then(Value::as_str).map(str::to_owned)
        }),
        "Status" => status(object),
        "Internal-IP" => node_address(object),
        "IP" => text("/status/podIP").to_owned(),
        "Node" => text("/spec/nodeName").to_owned(),
        "Last Seen" => {
            let seen = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
            age(seen.iter().find_map(|p| object.pointer(p).filter(|v| v.is_string())), now)
        }
        "Type" if object.get("spec").is_some() => text("/spec/type").to_owned(),
        "Type" => text("/type").to_owned(),
        "Reason" => text("/reason").to_owned(),
        "Object" => {
            let kind = text("/involvedObject/kind").to_lowercase();
            format!("{kind}/{}", text("/involvedObject/name"))
        }
        "Message" => text("/message").trim().to_owned(),
        _ => String::new(),
    }
}

fn external_addresses(service: &Value) -> String {
    let texts = |path: &str, field: Option<&str>| -> Vec<String> {
        let values = service.pointer(path).and_then(Value::as_array);
        let text = |value: &Value| {
            field
                .map_or(Some(value), |field| value.get(field))
                .and_then(Value::as_str)
                .map(Into::into)
        };
        values.into_iter().flatten().filter_map(text).collect()
    };
    let mut addresses = texts("/status/loadBalancer/ingress", Some("ip"));
    addresses.extend(texts("/spec/externalIPs", None));
    match service.pointer("/spec/type").and_then(Value::as_str) {
        Some("ExternalName") => scalar(&service["spec"], "externalName").unwrap_or_default(),
        Some("LoadBalancer") if addresses.is_empty() => "<pending>".into(),
        _ if addresses.is_empty() => "<none>".into(),
        _ => addresses.join(","),
    }
}

fn service_port(port: &Value) -> Option<String> {
    let number = scalar(port, "port")?;
    let node_port = scalar(port, "nodePort").map(|p| format!(":{p}")).unwrap_or_default();
    let protocol = scalar(port, "protocol").unwrap_or_else(|| "TCP".into());
    Some(format!("{number}{node_port}/{protocol}"))
}

fn selector(service: &Value) -> String {
    let pairs: Vec<String> = service
        .pointer("/spec/selector")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

fn status(object: &Value) -> String {
    if let Some(phase) = object.pointer("/status/phase").and_then(Value::as_str) {
        return phase.to_owned();
    }
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|c| c["type"] == "Ready");
    match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready".into(),
        Some(false) => "NotReady".into(),
        None => "Unknown".into(),
    }
}

fn node_address(node: &Value) -> String {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
    let internal = addresses.into_iter().flatten().find(|a| a["type"] == "InternalIP");
    internal.and_then(|address| scalar(address, "address")).unwrap_or_else(|| "<none>".into())
}

fn scalar(value: &Value, field: &str) -> Option<String> {
    match value.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn join(object: &Value, path: &str, text: impl Fn(&Value) -> Option<String>) -> String {
    let elements = object.pointer(path).and_then(Value::as_array);
    let texts: Vec<String> = elements.into_iter().flatten().filter_map(text).collect();
    if texts.is_empty() { "<none>".into() } else { texts.join(",") }
}

/// The first three, and how many more there are.
fn join_first(object: &Value, path: &str, text: impl Fn(&Value) -> Option<String>) -> String {
    let elements = object.pointer(path).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let texts: Vec<String> = elements.iter().take(3).filter_map(text).collect();
    match elements.len() {
        0 => "<unset>".into(),
        1..=3 => texts.join(","),
        all => format!("{} + {} more...", texts.join(","), all - 3),
    }
}

/// `duration.HumanDuration` of apimachinery, to its coarser steps.
fn age(since: Option<&Value>, now: Timestamp) -> String {
    let Some(since) = since.and_then(Value::as_str).and_then(|t| t.parse::<Timestamp>().ok())
    else {
        return "<unknown>".into();
    };
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{}m{}s", seconds / 60, seconds % 60),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(resource: Resource, object: &Value) -> Vec<String> {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let cells = cells(resource, object.as_object().unwrap(), now);
        cells.as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_service_reads_as_in_kubectl() {
        let service = json!({
            "metadata": {"name": "web", "creationTimestamp": "2026-01-01T23:55:30Z"},
            "spec": {
                "type": "LoadBalancer", "clusterIP": "10.96.0.1", "selector": {"app": "web"},
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        });
        let expected =
            ["web", "LoadBalancer", "10.96.0.1", "192.0.2.1", "80:30080/TCP,53/TCP", "4m30s"];
        assert_eq!(row(Resource::Services, &service)[..6], expected);
        assert_eq!(row(Resource::Services, &service)[6], "app=web");
    }

    #[test]
    fn many_endpoints_are_counted() {
        let slice = json!({
            "metadata": {"name": "web-1", "creationTimestamp": "2025-12-01T00:00:00Z"},
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]},
                {"addresses": ["10.0.0.3"]}, {"addresses": ["10.0.0.4"]},
            ],
        });
        let endpoints = "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...";
        assert_eq!(
            row(Resource::EndpointSlices, &slice),
            ["web-1", "IPv4", "8080", endpoints, "32d"]
        );
    }

    #[test]
    fn every_column_has_a_cell() {
        for resource in Resource::ALL {
            let columns = columns(resource);
            assert_eq!(row(resource, &json!({})).len(), columns.as_array().unwrap().len());
        }
    }
}
