//! What is programmed for a Service.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Some Services, in order of namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePage {
    /// The Services. If the page before this one ended within a Service or one of its frontends, that
    /// is the first one here, without what is on that page; [`Service::join`] puts them together.
    pub services: Vec<Service>,
    /// The `from` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// A Service and what is programmed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether something is still to be done for it.
    pub pending: bool,
    /// Its objects in the kernel that failed and wait to be tried again.
    pub retrying: u64,
    /// When something was last changed in the kernel for it; absent if nothing was since the daemon
    /// started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_change: Option<Timestamp>,
    /// The last failure since the daemon started, even if it is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<Failure>,
    /// Current warnings about it and its EndpointSlices.
    pub warnings: Vec<Warning>,
    /// What clients connect to, in order of family, protocol, address and port; marks last.
    pub frontends: Vec<Frontend>,
}

impl Service {
    /// Adds what the next page tells of the same Service.
    pub fn join(&mut self, more: Self) {
        for frontend in more.frontends {
            match self.frontends.last_mut().filter(|last| last.is_same(&frontend)) {
                Some(last) => last.real_servers.extend(frontend.real_servers),
                None => self.frontends.push(frontend),
            }
        }
    }
}

/// The name of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Something that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Which operation, and why.
    pub message: String,
}

/// A warning about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// Its kind, such as `FrontendConflict`.
    pub reason: String,
    /// What is wrong and how it is handled.
    pub message: String,
}

/// What clients connect to, as the Service asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frontend {
    /// The address; absent if the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// The port; absent if the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// The firewall mark of the packets; absent if the frontend is an address and a port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mark: Option<u32>,
    /// Whether its packets are of IPv6.
    pub ipv6: bool,
    /// The protocol of its packets.
    pub protocol: Protocol,
    /// The field from which the Service has it.
    pub kind: Kind,
    /// The name of the Service port; empty if the Service has only one.
    pub port_name: String,
    /// Which endpoints may answer.
    pub policy: Policy,
    /// The Service that has the frontend instead of this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_by: Option<ServiceName>,
    /// The mark of the frontend that clients inside the cluster get instead of this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inside_mark: Option<u32>,
    /// The scheduler that it should have, by its name in the kernel.
    pub scheduler: String,
    /// How long a client keeps its real server, in seconds; absent without session affinity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub persistence_seconds: Option<u32>,
    /// Whether each datagram is scheduled by itself.
    pub one_packet: bool,
    /// The most connections of each real server; 0 for no limit.
    pub max_connections: u32,
    /// Whether the kernel is known to have a virtual server for it that is this Service's.
    pub programmed: bool,
    /// Its real servers in order of address and port.
    pub real_servers: Vec<RealServer>,
    /// How many real servers it has, on all pages.
    pub real_server_count: u64,
}

impl Frontend {
    fn is_same(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.address, it.port, it.mark, it.ipv6, it.protocol);
        key(self) == key(other)
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are their names")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// The field from which a Service has a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `spec.clusterIPs`.
    #[serde(rename = "clusterIP")]
    ClusterIp,
    /// `status.loadBalancer.ingress`.
    LoadBalancer,
    /// `spec.ports[].nodePort`.
    NodePort,
    /// `spec.externalIPs`.
    #[serde(rename = "externalIP")]
    ExternalIp,
    /// None: the frontends of this Service port for clients inside the cluster, by mark.
    Inside,
}

/// Which endpoints may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Any.
    Cluster,
    /// Only those on this node.
    Local,
}

/// A real server of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RealServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The weight that it should have; absent if it leaves.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wanted_weight: Option<u16>,
    /// The weight that the kernel is known to have; absent if the kernel has no such real server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weight: Option<u32>,
    /// If it drains: its time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub draining: Option<Draining>,
    /// Its connections; absent in the daemon's answers, because the daemon does not count them.
    /// `trimtab status` adds what the kernel counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connections: Option<Connections>,
}

/// The connections of a real server, as the kernel counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Those in the protocol's established state.
    pub active: u32,
    /// Those in every other state.
    pub inactive: u32,
}

/// The time that a real server that left has for the connections that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// When it left; if that was before the daemon started, when the daemon found it.
    pub since: Timestamp,
    /// When it is removed at the latest.
    pub until: Timestamp,
}
