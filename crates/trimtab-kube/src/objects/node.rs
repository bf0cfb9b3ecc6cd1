//! Nodes.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::decoded::{Decoded, Problems, quoted};
use super::metadata::Metadata;
use super::node_weight::node_weight;
use trimtab_core::objects::NodeObject as NodeFacts;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
/// The taint that the cluster autoscaler puts on a node it is about to delete.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// A Node as it comes from the API server or a manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Wire")]
pub struct NodeObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// What it says.
    pub decoded: Decoded<NodeState>,
    /// The weight of the endpoints on it, if the annotation is set.
    pub weight: Decoded<u16>,
}

/// The fields of a Node that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState {
    /// The part that the reconciler uses.
    pub facts: NodeFacts,
    /// Whether load balancers should send new connections here: it is not about to be deleted.
    pub eligible: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    taints: Option<Vec<Taint>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Taint {
    key: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    addresses: Option<Vec<Address>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    r#type: String,
    address: String,
}

impl From<Wire> for NodeObject {
    fn from(mut wire: Wire) -> Self {
        let mut problems = Problems::default();
        let spec = wire.spec.unwrap_or_default();
        let listed = wire.status.and_then(|status| status.addresses).unwrap_or_default();
        let tainted = spec.taints.iter().flatten().any(|taint| taint.key == TO_BE_DELETED);
        let value = NodeState {
            facts: NodeFacts {
                zone: wire.metadata.labels.get(ZONE).map(Into::into),
                addresses: addresses(&listed, &mut problems),
                pod_cidrs: pod_cidrs(&spec, &mut problems),
            },
            eligible: wire.metadata.deletion_timestamp.is_none() && !tainted,
        };
        Self {
            weight: node_weight(&wire.metadata),
            revision: wire.metadata.resource_version.take(),
            decoded: Decoded {
                name: wire.metadata.object_name(),
                uid: wire.metadata.uid.unwrap_or_default().into(),
                value: Some(value),
                problems: problems.into_inner(),
            },
        }
    }
}

/// The InternalIPs, then the ExternalIPs; host names are not addresses.
fn addresses(listed: &[Address], problems: &mut Problems) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for kind in ["InternalIP", "ExternalIP"] {
        for (index, address) in listed.iter().enumerate().filter(|(_, a)| a.r#type == kind) {
            match address.address.parse() {
                Ok(address) => found.push(address),
                Err(_) => problems.invalid(
                    format!("status.addresses[{index}].address"),
                    format!("{} is not an IP address; left out", quoted(&address.address)),
                ),
            }
        }
    }
    found
}

fn pod_cidrs(spec: &Spec, problems: &mut Problems) -> Vec<IpNet> {
    let list = spec.pod_cidrs.as_deref().filter(|list| !list.is_empty());
    let texts = list.unwrap_or(spec.pod_cidr.as_slice());
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        match text.parse::<IpNet>() {
            Ok(net) => found.push(net.trunc()),
            Err(_) => problems.invalid(
                format!("spec.podCIDRs[{index}]"),
                format!("{} is not a CIDR; left out", quoted(text)),
            ),
        }
    }
    found
}
