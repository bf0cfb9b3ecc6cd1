//! The weight that a Node gives to the endpoints on it.

use serde::{Deserialize, Deserializer};
use trimtab_core::objects::ObjectName;

use super::decoded::{Decoded, Problems};
use super::endpoint_slice::{WEIGHT, weight};
use super::metadata::Metadata;
use crate::protobuf::{Malformed, Message, Value};

/// The weight of a Node, read from its metadata; nothing else is requested.
#[derive(Clone, Debug)]
pub struct NodeWeightObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// The weight; no value for a Node without the annotation.
    pub decoded: Decoded<u16>,
}

impl NodeWeightObject {
    /// Decodes a `PartialObjectMetadata` in protobuf, without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Wire::decode(bytes).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for NodeWeightObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

impl<'a> Message<'a> for Wire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.metadata = value.message()?;
        }
        Ok(())
    }
}

impl From<Wire<'_>> for NodeWeightObject {
    fn from(mut wire: Wire<'_>) -> Self {
        Self { decoded: node_weight(&wire.metadata), revision: wire.metadata.take_revision() }
    }
}

/// The weight in a Node's metadata.
pub(super) fn node_weight(metadata: &Metadata<'_>) -> Decoded<u16> {
    let mut problems = Problems::default();
    let value = weight(metadata.annotations.get(WEIGHT), &mut problems);
    Decoded {
        name: ObjectName::new("", metadata.name.as_deref().unwrap_or_default()),
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        value,
        problems: problems.into_inner(),
    }
}
