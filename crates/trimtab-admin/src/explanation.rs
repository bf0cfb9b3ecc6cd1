//! Why a Service is programmed as it is.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Kind, Policy, Protocol, ServiceName, Warning};

/// Why a Service is programmed as it is, or one part of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// The node on which that is so.
    pub node: String,
    /// The node's zone; absent if its Node object has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub zone: Option<String>,
    /// What it asks for and does not get.
    pub problems: Vec<Warning>,
    /// Its frontends, in order of family, protocol, address and port; marks last.
    pub frontends: Vec<ExplainedFrontend>,
    /// Its ports by family.
    pub ports: Vec<ExplainedPort>,
    /// Ports of its EndpointSlices that it does not have.
    pub other_ports: Vec<PortName>,
    /// Elements of ipsets that belong to no frontend.
    pub elements: Vec<Element>,
    /// The `from` of the next part; absent in the last one. Frontends and endpoints are in one part
    /// only, everything else is in all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
}

impl Explanation {
    /// Adds the next part.
    pub fn join(&mut self, more: Self) {
        self.frontends.extend(more.frontends);
        for port in more.ports {
            match self.ports.iter_mut().find(|known| known.port == port.port) {
                Some(known) => known.endpoints.extend(port.endpoints),
                None => self.ports.push(port),
            }
        }
        self.next = more.next;
    }
}

/// A port as Services and EndpointSlices name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortName {
    /// Its name; empty if there is only one.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether its endpoints are of IPv6.
    pub ipv6: bool,
}

/// One frontend that a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFrontend {
    /// The address; absent if the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// The port; absent if the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// The firewall mark of its packets; absent if the frontend is an address and a port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mark: Option<u32>,
    /// The field from which the Service has it.
    pub kind: Kind,
    /// The port whose endpoints answer.
    pub service_port: PortName,
    /// Which of them may answer.
    pub policy: Policy,
    /// Why another Service has it, if one has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held: Option<Held>,
    /// Other Services that ask for it and do not get it; eight at most.
    pub refused_to: Vec<ServiceName>,
    /// What clients inside the cluster get.
    pub inside: Inside,
    /// The mark behind which that is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inside_mark: Option<u32>,
    /// The elements of ipsets that are there for it; none if another Service has it.
    pub elements: Vec<Element>,
    /// Whether its address is bound to the node for it.
    pub binds: bool,
}

/// Who has a frontend instead, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The Service that has it.
    pub by: ServiceName,
    /// The field from which that Service has it.
    pub kind: Kind,
    /// Why that claim goes before this one.
    pub because: Precedence,
}

/// Why one claim to a frontend goes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Precedence {
    /// A cluster IP goes before a load-balancer IP, that before a node port, that before an external IP.
    StrongerKind,
    /// It is of the same kind, and the Service is older; of two of the same age, the name decides.
    Older,
}

/// What clients inside the cluster get at a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Inside {
    /// The same as everybody.
    Same,
    /// What is behind a mark.
    Mark,
    /// They should get something of their own, but have no mark yet, or there is none left.
    WithoutMark,
}

/// An element of an ipset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Element {
    /// The name of the set in the kernel.
    pub set: String,
    /// What the set is for.
    pub role: SetRole,
    /// The element, as `ipset` writes it.
    #[serde(rename = "element")]
    pub value: String,
}

/// What an ipset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetRole {
    /// Endpoints on this node, against themselves.
    LoopBack,
    /// Cluster IPs with port.
    #[serde(rename = "clusterIP")]
    ClusterIp,
    /// External IPs with port, of policy Cluster.
    #[serde(rename = "externalIP")]
    ExternalIp,
    /// External IPs with port, of policy Local.
    #[serde(rename = "externalIPLocal")]
    ExternalIpLocal,
    /// Load-balancer IPs with port.
    LoadBalancer,
    /// Those of them of policy Local.
    LoadBalancerLocal,
    /// Those of them with source ranges.
    LoadBalancerFirewall,
    /// The source ranges.
    LoadBalancerSourceRange,
    /// Those of them whose source ranges let this node in.
    LoadBalancerSourceNode,
    /// Node ports.
    NodePort,
    /// Those of them of policy Local.
    NodePortLocal,
    /// Health-check node ports.
    HealthCheckNodePort,
    /// VIPs.
    Vip,
    /// Addresses and ports of which clients inside the cluster get something else.
    Inside,
    /// Trimtab's marks.
    Marks,
}

/// One port of a Service in one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedPort {
    /// The port.
    pub port: PortName,
    /// How many EndpointSlices have it.
    pub slices: u64,
    /// What topology hints come to, where any endpoint may answer.
    pub topology: Topology,
    /// Its endpoints in order of address and port.
    pub endpoints: Vec<Endpoint>,
    /// How many it has, in all parts.
    pub endpoint_count: u64,
}

/// What topology hints come to, where any endpoint may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Topology {
    /// No endpoint is ready, so hints do not matter.
    NoneReady,
    /// Every ready endpoint has a node hint, and one is for this node: those for this node answer.
    SameNode,
    /// Every ready endpoint has a zone hint, and one is for this node's zone: those for it answer.
    SameZone,
    /// No ready endpoint has a hint.
    NoHints,
    /// Only some ready endpoints have hints, so hints are not followed.
    SomeWithoutHint,
    /// Every ready endpoint has hints, and none is for this node or its zone: hints are not followed.
    NoneForHere,
}

/// One endpoint of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its node; absent if its EndpointSlice does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// Its condition `ready`, as kube-proxy takes it: absent means yes.
    pub ready: bool,
    /// Its condition `serving`: absent means yes.
    pub serving: bool,
    /// Its condition `terminating`: absent means no.
    pub terminating: bool,
    /// The zones that it is hinted for.
    pub zone_hints: Vec<String>,
    /// The nodes that it is hinted for.
    pub node_hints: Vec<String>,
    /// The weight that it has where it answers.
    pub weight: u16,
    /// Whether it answers where any endpoint may.
    pub cluster: Verdict,
    /// Whether it answers where only endpoints on this node may.
    pub local: Verdict,
}

/// Whether an endpoint gets new connections, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it does.
    pub answers: bool,
    /// Why.
    pub reason: Reason,
}

/// Why an endpoint gets new connections, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// It is ready.
    Ready,
    /// It is ready, and hinted for this node.
    HintedForNode,
    /// It is ready, and hinted for this node's zone.
    HintedForZone,
    /// It is ready and on this node.
    ReadyHere,
    /// It is terminating but still serves, and none is ready.
    LastServing,
    /// It is on this node and terminating but still serves, and none here is ready.
    LastServingHere,
    /// It is not ready.
    NotReady,
    /// It is terminating, though it still serves, and others are ready.
    Terminating,
    /// It is terminating and no longer serves.
    Terminated,
    /// It is hinted for other nodes, and others for this one.
    HintedForOtherNodes,
    /// It is hinted for other zones, and others for this node's.
    HintedForOtherZones,
    /// It is not on this node.
    NotHere,
}
