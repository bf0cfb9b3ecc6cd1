//! The weight that a Node gives to the endpoints on it.

use serde::Deserialize;
use trimtab_core::objects::ObjectName;

use super::decoded::{Decoded, Problems};
use super::endpoint_slice::{WEIGHT, weight};
use super::metadata::Metadata;

/// The weight of a Node, read from its metadata; nothing else is requested.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Wire")]
pub struct NodeWeightObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// The weight; no value for a Node without the annotation.
    pub decoded: Decoded<u16>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    metadata: Metadata,
}

impl From<Wire> for NodeWeightObject {
    fn from(wire: Wire) -> Self {
        Self { decoded: node_weight(&wire.metadata), revision: wire.metadata.resource_version }
    }
}

/// The weight in a Node's metadata.
pub(super) fn node_weight(metadata: &Metadata) -> Decoded<u16> {
    let mut problems = Problems::default();
    let value = weight(metadata.annotations.get(WEIGHT), &mut problems);
    Decoded {
        name: ObjectName::new("", metadata.name.as_deref().unwrap_or_default()),
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        value,
        problems: problems.into_inner(),
    }
}
