//! The inputs in `tests/data/agreement`, whose README says how they are written.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a node is to hold, and how.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// Fields of the configuration file.
    pub(crate) config: Map<String, Value>,
    /// Kubernetes objects, the Node among them.
    pub(crate) objects: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default)]
    objects: Vec<Short>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Short {
    Service(ShortService),
    Slice(ShortSlice),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortService {
    service: String,
    ips: Vec<String>,
    ports: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    spec: Map<String, Value>,
    #[serde(default)]
    ingress: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortSlice {
    slice: String,
    of: Option<String>,
    ports: Vec<String>,
    at: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

macro_rules! files {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../data/agreement/", $name, ".yaml")))),*]
    };
}

/// All of them, in the order of files; `node` is the Node object without labels.
pub(crate) fn all(node: &Value) -> Vec<Input> {
    let files = files![
        "1-cluster-ips",
        "2-endpoints",
        "3-node-ports",
        "4-vips",
        "5-tuning",
        "6-conflicts",
        "7-configuration"
    ];
    let mut inputs = Vec::new();
    for (file, text) in files {
        let written: Vec<Written> =
            serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        inputs.extend(written.into_iter().map(|written| {
            let mut node = node.clone();
            node["metadata"]["labels"] = Value::Object(written.labels);
            let objects = written.objects.into_iter().map(Short::full);
            Input {
                name: format!("{file}: {}", written.name),
                config: written.config,
                objects: std::iter::once(node).chain(objects).collect(),
            }
        }));
    }
    inputs
}

impl Short {
    fn full(self) -> Value {
        match self {
            Self::Service(service) => service.full(),
            Self::Slice(slice) => slice.full(),
        }
    }
}

impl ShortService {
    fn full(self) -> Value {
        let families = self.ips.iter().filter_map(|ip| Some(family(ip.parse().ok()?)));
        let mut service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(&self.service, self.metadata),
            "spec": {
                "clusterIP": self.ips.first(),
                "clusterIPs": self.ips,
                "ipFamilies": families.collect::<Vec<_>>(),
                "ports": self.ports.iter().map(|port| port_of(port)).collect::<Vec<_>>(),
            },
            "status": {"loadBalancer": {"ingress": self.ingress}},
        });
        for (key, value) in self.spec {
            service["spec"][key] = value;
        }
        service
    }
}

impl ShortSlice {
    fn full(self) -> Value {
        let first = self.at.first().and_then(|at| at.split(' ').next()?.parse().ok());
        let service = self.of.as_deref().unwrap_or_else(|| split(&self.slice).1);
        let mut slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": first.map_or("FQDN", family),
            "ports": self.ports.iter().map(|port| port_of(port)).collect::<Vec<_>>(),
            "endpoints": self.at.iter().map(|at| endpoint(at)).collect::<Vec<_>>(),
            "metadata": metadata(&self.slice, self.metadata),
        });
        slice["metadata"]["labels"]["kubernetes.io/service-name"] = service.into();
        slice
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("default", name))
}

fn metadata(name: &str, more: Map<String, Value>) -> Value {
    let (namespace, name) = split(name);
    let mut metadata = json!({"name": name, "namespace": namespace, "uid": name});
    for (key, value) in more {
        metadata[key] = value;
    }
    metadata
}

/// `NAME PORT[/PROTOCOL][:NODE_PORT]`.
fn port_of(text: &str) -> Value {
    let (name, numbers) = text.split_once(' ').unwrap_or_else(|| panic!("{text:?} is no port"));
    let (port, node_port) =
        numbers.split_once(':').map_or((numbers, None), |(port, node)| (port, Some(node)));
    let (port, protocol) = port.split_once('/').unwrap_or((port, "TCP"));
    let number = |text: &str| text.parse::<u16>().unwrap_or_else(|_| panic!("{text:?} in a port"));
    let mut value = json!({"name": name, "protocol": protocol, "port": number(port)});
    if let Some(node_port) = node_port {
        value["nodePort"] = number(node_port).into();
    }
    value
}

/// `ADDRESS NODE [STATE] [zone=ZONE] [node=NODE]`.
fn endpoint(text: &str) -> Value {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap_or_else(|| panic!("{text:?} is no endpoint"));
    let mut endpoint = json!({"addresses": [next()], "nodeName": next()});
    let mut conditions = json!({"ready": true, "serving": true, "terminating": false});
    for word in words {
        match word.split_once('=') {
            Some(("zone", zone)) => endpoint["hints"]["forZones"] = json!([{"name": zone}]),
            Some(("node", node)) => endpoint["hints"]["forNodes"] = json!([{"name": node}]),
            Some(_) => panic!("{word:?} in {text:?}"),
            None => {
                conditions = match word {
                    "ready" => conditions,
                    "unready" => json!({"ready": false, "serving": false, "terminating": false}),
                    "terminating" => json!({"ready": false, "serving": true, "terminating": true}),
                    "dead" => json!({"ready": false, "serving": false, "terminating": true}),
                    "unsaid" => json!({}),
                    _ => panic!("{word:?} in {text:?}"),
                }
            }
        }
    }
    endpoint["conditions"] = conditions;
    endpoint
}
