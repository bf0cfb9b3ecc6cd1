//! One frontend that a Service asks for.

use trimtab_core::{Frontend, Protocol, SetElement, SetId};

use super::Options;
use crate::objects::TrafficPolicy;

/// One frontend that a Service asks for, with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) frontend: Frontend,
    /// Name of the Service port whose endpoints answer.
    pub(crate) port: Box<str>,
    pub(crate) policy: TrafficPolicy,
    pub(crate) options: Options,
    /// Upper threshold of each real server, 0 for none.
    pub(crate) max_connections: u32,
    /// Elements that must be in their sets while the frontend is served.
    pub(crate) elements: Vec<(SetId, SetElement)>,
    /// Whether the address belongs on the dummy interface.
    pub(crate) bind: bool,
}

impl Request {
    /// The protocol; a Service never asks for a mark.
    pub(crate) fn protocol(&self) -> Protocol {
        self.frontend.protocol().unwrap_or(Protocol::Tcp)
    }
}
