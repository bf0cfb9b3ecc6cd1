//! The kinds of objects that are watched.

use serde::de::DeserializeOwned;

use crate::objects::{EndpointSliceObject, NodeObject, NodeWeightObject, ServiceObject};
use crate::{Change, Kind, Malformed};

/// An object that can become a [`Change`].
pub(super) trait Watched: DeserializeOwned + Send {
    /// What it is.
    const KIND: Kind;
    /// The API path of the kind.
    const PATH: &'static str;
    /// Whether only metadata is requested.
    const METADATA_ONLY: bool = false;

    /// Decodes an object in protobuf, without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed>;
    /// `metadata.resourceVersion`.
    fn take_revision(&mut self) -> Option<String>;
    /// It was listed, added or changed.
    fn change(self) -> Change;
    /// It was deleted.
    fn gone(self) -> Change;
}

impl Watched for ServiceObject {
    const KIND: Kind = Kind::Services;
    const PATH: &'static str = "/api/v1/services";

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_protobuf(bytes)
    }

    fn take_revision(&mut self) -> Option<String> {
        self.revision.take()
    }

    fn change(self) -> Change {
        Change::Service(Box::new(self.decoded))
    }

    fn gone(self) -> Change {
        Change::ServiceGone(self.decoded.name)
    }
}

impl Watched for EndpointSliceObject {
    const KIND: Kind = Kind::Slices;
    const PATH: &'static str = "/apis/discovery.k8s.io/v1/endpointslices";

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_protobuf(bytes)
    }

    fn take_revision(&mut self) -> Option<String> {
        self.revision.take()
    }

    fn change(self) -> Change {
        Change::Slice(Box::new(self.decoded), self.changed)
    }

    fn gone(self) -> Change {
        Change::SliceGone(self.decoded.name)
    }
}

impl Watched for NodeObject {
    const KIND: Kind = Kind::Node;
    const PATH: &'static str = "/api/v1/nodes";

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_protobuf(bytes)
    }

    fn take_revision(&mut self) -> Option<String> {
        self.revision.take()
    }

    fn change(self) -> Change {
        Change::Node(self.decoded.value)
    }

    fn gone(self) -> Change {
        Change::Node(None)
    }
}

impl Watched for NodeWeightObject {
    const KIND: Kind = Kind::NodeWeights;
    const PATH: &'static str = "/api/v1/nodes";
    const METADATA_ONLY: bool = true;

    fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_protobuf(bytes)
    }

    fn take_revision(&mut self) -> Option<String> {
        self.revision.take()
    }

    fn change(self) -> Change {
        Change::NodeWeight(self.decoded)
    }

    fn gone(self) -> Change {
        Change::NodeWeightGone(self.decoded.name)
    }
}
