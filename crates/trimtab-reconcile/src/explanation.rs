//! Why a Service is programmed as it is.

use trimtab_core::objects::{Conditions, Hints, ObjectName, TrafficPolicy};
use trimtab_core::{Family, Frontend, Protocol, RealServerKey, SetElement, SetId};

use crate::problem::Problem;
use crate::query::FrontendKind;

/// Why a Service is programmed as it is, or one part of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Which Service.
    pub service: ObjectName,
    /// The node on which that is so.
    pub node: Box<str>,
    /// The node's zone.
    pub zone: Option<Box<str>>,
    /// Its frontends in order.
    pub frontends: Vec<FrontendExplanation>,
    /// Its ports by family, each with its endpoints.
    pub ports: Vec<PortExplanation>,
    /// Ports of its EndpointSlices that it does not have.
    pub other_ports: Vec<PortName>,
    /// Set elements that belong to no frontend.
    pub elements: Vec<(SetId, SetElement)>,
    /// What it asks for and does not get.
    pub problems: Vec<Problem>,
    /// How many rows were told so far, if there are more: each frontend and each endpoint is one.
    pub next: Option<usize>,
}

/// A port as Services and EndpointSlices name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortName {
    /// Its name, empty where there is only one.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The family of its endpoints.
    pub family: Family,
}

/// One frontend that a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendExplanation {
    /// The frontend.
    pub frontend: Frontend,
    /// What the Service has it from.
    pub kind: FrontendKind,
    /// The port whose endpoints answer.
    pub port: PortName,
    /// Which of them may answer.
    pub policy: TrafficPolicy,
    /// Why another Service has it, if one has.
    pub held: Option<Held>,
    /// The first other Services that ask for it and do not get it.
    pub refused_to: Vec<ObjectName>,
    /// What clients inside the cluster get.
    pub inside: InsideView,
    /// The set elements that are there for it; none if another Service has it.
    pub elements: Vec<(SetId, SetElement)>,
    /// Whether its address is bound to this node for it.
    pub binds: bool,
}

/// Who has a frontend instead, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The Service that has it.
    pub by: ObjectName,
    /// What that Service has it from.
    pub kind: FrontendKind,
    /// Why that claim goes before this one.
    pub because: Precedence,
}

/// Why one claim to a frontend goes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It is of a stronger kind: a cluster IP goes before a load-balancer IP, that before a node port,
    /// and that before an external IP.
    StrongerKind,
    /// It is of the same kind, and the Service is older; of two of the same age, the name decides.
    Older,
}

/// What clients inside the cluster get at a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsideView {
    /// The same as everybody.
    Same,
    /// What is behind this mark.
    Mark(u32),
    /// They should have a view of their own, which has no mark yet, or for which there is none.
    WithoutMark,
}

/// One port of a Service in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortExplanation {
    /// The port.
    pub port: PortName,
    /// How many EndpointSlices have it.
    pub slices: usize,
    /// What topology hints come to, where any endpoint may answer.
    pub topology: Topology,
    /// Its endpoints in order, as many as there is room for.
    pub endpoints: Vec<EndpointExplanation>,
    /// How many it has in all.
    pub endpoint_count: usize,
}

/// What topology hints come to, where any endpoint may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// No endpoint is ready, so hints do not matter.
    NoneReady,
    /// Every ready endpoint has a node hint, and one is for this node: those for this node answer.
    SameNode,
    /// Every ready endpoint has a zone hint, and one is for this node's zone: those for it answer.
    SameZone,
    /// No ready endpoint has a hint.
    NoHints,
    /// Only some ready endpoints have hints, so that hints are not followed.
    SomeWithoutHint,
    /// Every ready endpoint has hints, and none is for this node or its zone: hints are not followed.
    NoneForHere,
}

/// One endpoint of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointExplanation {
    /// Its address and port.
    pub key: RealServerKey,
    /// Its node, if its slice says so.
    pub node: Option<Box<str>>,
    /// Its conditions.
    pub conditions: Conditions,
    /// Its topology hints.
    pub hints: Hints,
    /// The weight that it has where it answers.
    pub weight: u16,
    /// Whether it answers where any endpoint may, and why.
    pub cluster: Verdict,
    /// Whether it answers where only endpoints on this node may, and why.
    pub local: Verdict,
}

/// Whether an endpoint gets new connections, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It does: it is ready.
    Ready,
    /// It does: it is ready, and hinted for this node.
    HintedForNode,
    /// It does: it is ready, and hinted for this node's zone.
    HintedForZone,
    /// It does: it is ready and on this node.
    ReadyHere,
    /// It does: it is on its way out but still answers, and none is ready.
    LastServing,
    /// It does: it is on this node and on its way out but still answers, and none here is ready.
    LastServingHere,
    /// It does not: it is not ready.
    NotReady,
    /// It does not: it is on its way out, though it still answers, and others are ready.
    Terminating,
    /// It does not: it is on its way out and no longer answers.
    Terminated,
    /// It does not: it is hinted for other nodes, and others for this one.
    HintedForOtherNodes,
    /// It does not: it is hinted for other zones, and others for this node's.
    HintedForOtherZones,
    /// It does not: it is not on this node.
    NotHere,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Ready,
        Self::HintedForNode,
        Self::HintedForZone,
        Self::ReadyHere,
        Self::LastServing,
        Self::LastServingHere,
        Self::NotReady,
        Self::Terminating,
        Self::Terminated,
        Self::HintedForOtherNodes,
        Self::HintedForOtherZones,
        Self::NotHere,
    ];

    /// Whether the endpoint gets new connections.
    pub const fn is_in(self) -> bool {
        match self {
            Self::Ready
            | Self::HintedForNode
            | Self::HintedForZone
            | Self::ReadyHere
            | Self::LastServing
            | Self::LastServingHere => true,
            Self::NotReady
            | Self::Terminating
            | Self::Terminated
            | Self::HintedForOtherNodes
            | Self::HintedForOtherZones
            | Self::NotHere => false,
        }
    }
}
