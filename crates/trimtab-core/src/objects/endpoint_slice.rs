//! An EndpointSlice, as far as it matters here.

use std::net::IpAddr;

use crate::{Family, Protocol};

use super::ObjectName;

/// An EndpointSlice of one Service. A slice of names (`addressType: FQDN`) has nothing to proxy and
/// never gets here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// `namespace/name`.
    pub name: ObjectName,
    /// The Service that the label `kubernetes.io/service-name` names.
    pub service: ObjectName,
    /// `addressType`.
    pub family: Family,
    /// Its ports; those without a number are left out.
    pub ports: Vec<SlicePort>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// `trimtab.dev/weight` of every endpoint in it.
    pub weight: Option<u16>,
}

/// A port that every endpoint of a slice has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlicePort {
    /// The name of the Service port it belongs to.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The endpoint's port, not 0.
    pub port: u16,
}

/// One endpoint: `endpoints[]` with its first address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses[0]`.
    pub address: IpAddr,
    /// `conditions`.
    pub conditions: Conditions,
    /// `nodeName`.
    pub node: Option<Box<str>>,
    /// `hints`.
    pub hints: Hints,
}

/// `conditions` of an endpoint, absent ones filled in as the API documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conditions {
    /// May get new connections; absent means yes.
    pub ready: bool,
    /// Answers, whether or not it is on its way out; absent means yes.
    pub serving: bool,
    /// Is on its way out; absent means no.
    pub terminating: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { ready: true, serving: true, terminating: false }
    }
}

/// `hints` of an endpoint: who should use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// `forZones[].name`.
    pub zones: Vec<Box<str>>,
    /// `forNodes[].name`.
    pub nodes: Vec<Box<str>>,
}

impl Hints {
    /// Whether there is no hint at all.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.nodes.is_empty()
    }
}
