//! Nodes.

mod protobuf;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::decoded::{Decoded, Problems, quoted};
use super::metadata::Metadata;
use super::node_weight::node_weight;
use super::text::Text;
use crate::protobuf::{Malformed, Message as _};
use trimtab_core::objects::NodeObject as NodeFacts;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
/// The taint that the cluster autoscaler puts on a node it is about to delete.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// A Node as it comes from the API server or a manifest.
#[derive(Clone, Debug)]
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

impl NodeObject {
    /// Decodes a Node in protobuf, without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Wire::decode(bytes).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for NodeObject {
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
#[serde(default)]
struct Spec<'a> {
    #[serde(rename = "podCIDRs", borrow)]
    pod_cidrs: Option<Vec<Text<'a>>>,
    #[serde(rename = "podCIDR", borrow)]
    pod_cidr: Option<Text<'a>>,
    #[serde(borrow)]
    taints: Option<Vec<Taint<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Taint<'a> {
    #[serde(borrow)]
    key: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<Address<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
}

impl From<Wire<'_>> for NodeObject {
    fn from(mut wire: Wire<'_>) -> Self {
        let mut problems = Problems::default();
        let spec = wire.spec.unwrap_or_default();
        let listed = wire.status.and_then(|status| status.addresses).unwrap_or_default();
        let tainted = spec.taints.iter().flatten().any(|taint| &*taint.key == TO_BE_DELETED);
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
            revision: wire.metadata.take_revision(),
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
fn addresses(listed: &[Address<'_>], problems: &mut Problems) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for kind in ["InternalIP", "ExternalIP"] {
        for (index, address) in listed.iter().enumerate().filter(|(_, a)| &*a.r#type == kind) {
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

fn pod_cidrs(spec: &Spec<'_>, problems: &mut Problems) -> Vec<IpNet> {
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
