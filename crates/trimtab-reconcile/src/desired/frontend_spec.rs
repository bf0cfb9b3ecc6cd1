//! One frontend that a Service asks for.

use trimtab_core::{Frontend, Protocol, SetElement, SetId};

use super::{Inside, Options};
use crate::query::FrontendKind;
use trimtab_core::objects::TrafficPolicy;

/// One frontend that a Service asks for, with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrontendSpec {
    pub(crate) frontend: Frontend,
    /// Of its packets; a frontend that is a mark does not say.
    pub(crate) protocol: Protocol,
    /// What the Service has the frontend from.
    pub(crate) kind: ClaimKind,
    /// Name of the Service port whose endpoints answer.
    pub(crate) port: Box<str>,
    pub(crate) policy: TrafficPolicy,
    /// What clients inside the cluster get instead.
    pub(crate) inside: Inside,
    pub(crate) options: Options,
    /// Upper threshold of each real server, 0 for none.
    pub(crate) max_connections: u32,
    /// Elements that must be in their sets while the frontend is served.
    pub(crate) elements: Vec<(SetId, SetElement)>,
    /// Whether the address belongs on the dummy interface.
    pub(crate) bind: bool,
}

/// What a Service has a frontend from. Of two Services that ask for the same one, the one whose kind
/// comes first here has it: a cluster IP and a node port are allocated by the API server, to one
/// Service each; a load balancer's address is written by a controller; an external IP is whatever
/// the author of a Service wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClaimKind {
    ClusterIp,
    LoadBalancer,
    NodePort,
    ExternalIp,
    /// A mark, which nobody else asks for.
    View,
}

impl From<ClaimKind> for FrontendKind {
    fn from(kind: ClaimKind) -> Self {
        match kind {
            ClaimKind::ClusterIp => Self::ClusterIp,
            ClaimKind::LoadBalancer => Self::LoadBalancer,
            ClaimKind::NodePort => Self::NodePort,
            ClaimKind::ExternalIp => Self::ExternalIp,
            ClaimKind::View => Self::Inside,
        }
    }
}

impl ClaimKind {
    /// In the words of the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIp => "cluster IP",
            Self::LoadBalancer => "load-balancer IP",
            Self::NodePort => "node port",
            Self::ExternalIp => "external IP",
            Self::View => "inside",
        }
    }
}
