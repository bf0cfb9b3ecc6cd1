//! Changes of objects, as a stream.

use tokio::time::Instant;
use trimtab_core::objects::{EndpointSlice, ObjectName, Service};

use crate::objects::{Decoded, NodeState};

/// Changes that arrived together: a page of a list, or the events that a watch had ready.
#[derive(Debug)]
pub struct Arrival {
    /// When they did.
    pub at: Instant,
    /// In the order in which they must be processed.
    pub changes: Vec<Change>,
}

impl Arrival {
    /// Changes that arrive now.
    pub fn now(changes: Vec<Change>) -> Self {
        Self { at: Instant::now(), changes }
    }
}

/// One change.
#[derive(Debug)]
pub enum Change {
    /// A complete list of one kind begins: objects that do not appear before its end have been
    /// deleted.
    Begin(Kind),
    /// A Service was listed, added or changed.
    Service(Box<Decoded<Service>>),
    /// A Service was deleted.
    ServiceGone(ObjectName),
    /// An EndpointSlice was listed, added or changed, perhaps with the time of the change's cause.
    Slice(Box<Decoded<EndpointSlice>>, Option<jiff::Timestamp>),
    /// An EndpointSlice was deleted.
    SliceGone(ObjectName),
    /// Our Node object was listed, added, changed or deleted.
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
    /// The metadata of all Nodes, if the configuration uses their weights.
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
