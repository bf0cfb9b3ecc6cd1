//! Services: the fields of the API object that are used.

mod protobuf;
mod validate;

use serde::{Deserialize, Deserializer};
use trimtab_core::objects::Service;

use self::validate::decode;
use super::decoded::{Decoded, Problems};
use super::metadata::Metadata;
use super::text::Text;
use crate::protobuf::{Malformed, Message as _};

pub(super) use self::validate::port_number;

/// The label that hands a Service to another service proxy, whatever its value.
pub(super) const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// A Service as it comes from the API server or a manifest.
#[derive(Clone, Debug)]
pub struct ServiceObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// What it says.
    pub decoded: Decoded<Service>,
}

impl ServiceObject {
    /// Decodes a Service in protobuf, without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Wire::decode(bytes).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for ServiceObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(rename = "clusterIP", borrow)]
    cluster_ip: Option<Text<'a>>,
    #[serde(rename = "clusterIPs", borrow)]
    cluster_ips: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    ip_families: Option<Vec<Text<'a>>>,
    #[serde(rename = "externalIPs", borrow)]
    external_ips: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<Port<'a>>>,
    #[serde(borrow)]
    internal_traffic_policy: Option<Text<'a>>,
    #[serde(borrow)]
    external_traffic_policy: Option<Text<'a>>,
    #[serde(borrow)]
    session_affinity: Option<Text<'a>>,
    session_affinity_config: Option<AffinityConfig>,
    #[serde(borrow)]
    load_balancer_source_ranges: Option<Vec<Text<'a>>>,
    health_check_node_port: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
struct Port<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    protocol: Option<Text<'a>>,
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
struct Status<'a> {
    #[serde(borrow)]
    load_balancer: Option<LoadBalancer<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoadBalancer<'a> {
    #[serde(borrow)]
    ingress: Option<Vec<Ingress<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Ingress<'a> {
    #[serde(borrow)]
    ip: Option<Text<'a>>,
    #[serde(borrow)]
    ip_mode: Option<Text<'a>>,
}

impl From<Wire<'_>> for ServiceObject {
    fn from(mut wire: Wire<'_>) -> Self {
        let mut problems = Problems::default();
        let value = decode(&wire, &mut problems);
        Self {
            revision: wire.metadata.take_revision(),
            decoded: Decoded {
                name: wire.metadata.object_name(),
                uid: wire.metadata.uid.unwrap_or_default().into(),
                value,
                problems: problems.into_inner(),
            },
        }
    }
}
