//! Services: the fields of the API object that are used.

mod validate;

use serde::Deserialize;
use trimtab_core::objects::Service;

use self::validate::decode;
use super::decoded::{Decoded, Problems};
use super::metadata::Metadata;

pub(super) use self::validate::port_number;

/// The label that hands a Service to another service proxy, whatever its value.
pub(super) const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// A Service as it comes from the API server or a manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Wire")]
pub struct ServiceObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// What it says.
    pub decoded: Decoded<Service>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    r#type: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<String>>,
    ip_families: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    external_ips: Option<Vec<String>>,
    ports: Option<Vec<Port>>,
    internal_traffic_policy: Option<String>,
    external_traffic_policy: Option<String>,
    session_affinity: Option<String>,
    session_affinity_config: Option<AffinityConfig>,
    load_balancer_source_ranges: Option<Vec<String>>,
    health_check_node_port: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
struct Port {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<i64>,
    node_port: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: Option<ClientIp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ClientIp {
    timeout_seconds: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    load_balancer: Option<LoadBalancer>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadBalancer {
    ingress: Option<Vec<Ingress>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Ingress {
    ip: Option<String>,
    ip_mode: Option<String>,
}

impl From<Wire> for ServiceObject {
    fn from(mut wire: Wire) -> Self {
        let mut problems = Problems::default();
        let value = decode(&wire, &mut problems);
        Self {
            revision: wire.metadata.resource_version.take(),
            decoded: Decoded {
                name: wire.metadata.object_name(),
                uid: wire.metadata.uid.unwrap_or_default().into(),
                value,
                problems: problems.into_inner(),
            },
        }
    }
}
