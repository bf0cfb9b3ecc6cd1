//! What becomes known of objects, as a stream of changes.

use tokio::time::Instant;
use trimtab_core::objects::{EndpointSlice, ObjectName, Service};

use crate::objects::{Decoded, NodeState};

/// Changes that became known together: a page of a list, or what a watch had ready.
#[derive(Debug)]
pub struct Arrival {
    /// When they did.
    pub at: Instant,
    /// In the order in which they are to be taken in.
    pub changes: Vec<Change>,
}

impl Arrival {
    /// Changes that became known just now.
    pub fn now(changes: Vec<Change>) -> Self {
        Self { at: Instant::now(), changes }
    }
}

/// Something that became known.
#[derive(Debug)]
pub enum Change {
    /// A complete list of one kind begins: objects that do not turn up before its end are gone.
    Begin(Kind),
    /// A Service was listed, added or changed.
    Service(Box<Decoded<Service>>),
    /// A Service was deleted.
    ServiceGone(ObjectName),
    /// An EndpointSlice was listed, added or changed, perhaps saying when its cause happened.
    Slice(Box<Decoded<EndpointSlice>>, Option<jiff::Timestamp>),
    /// An EndpointSlice was deleted.
    SliceGone(ObjectName),
    /// Our Node object was listed, added or changed, or is gone.
    Node(Option<NodeState>),
    /// A Node was listed, added or changed, perhaps with a weight for its endpoints.
    NodeWeight(Decoded<u16>),
    /// A Node was deleted.
    NodeWeightGone(ObjectName),
    /// The list of one kind is complete.
    End(Kind),
}

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Services.
    Services,
    /// EndpointSlices.
    Slices,
    /// Our Node.
    Node,
    /// The metadata of all Nodes, where the configuration asks for their weights.
    NodeWeights,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Services, Self::Slices, Self::Node, Self::NodeWeights];

    /// The plural that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Slices => "endpointslices",
            Self::Node | Self::NodeWeights => "nodes",
        }
    }
}
