//! Questions about what is programmed, and their answers; both of bounded size.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{ObjectName, TrafficPolicy};
use trimtab_core::{Frontend, Persistence, Protocol, RealServerKey, Scheduler, VirtualServerFlags};

use crate::problem::Problem;

/// A question about what is programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// About which Services.
    pub select: Select,
    /// Where the answer begins.
    pub from: Place,
    /// How many rows the answer may have, three at least: each Service, each frontend and each real
    /// server is one.
    pub limit: usize,
}

/// The Services that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// Those of a namespace.
    Namespace(Box<str>),
    /// This one.
    Service(ObjectName),
    /// Those that ask for a frontend at this address, and at this port if one is given.
    Address {
        /// The VIP, or an address of the node.
        address: IpAddr,
        /// The port of the frontend.
        port: Option<u16>,
    },
}

/// Where an answer goes on: Services are in order of name, the frontends and real servers of each in
/// order, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The Service, or the next one after it if it is gone; `None` for the first one.
    pub service: Option<ObjectName>,
    /// How many of its frontends were told completely.
    pub frontends: usize,
    /// How many real servers were told of its next frontend.
    pub real_servers: usize,
}

/// What is programmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Services in order of name. If the answer goes on within a Service or a frontend, that is the
    /// first one here, without what was told before.
    pub services: Vec<ServiceStatus>,
    /// Where it goes on, if there is more.
    pub next: Option<Place>,
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub service: ObjectName,
    /// Its frontends in order.
    pub frontends: Vec<FrontendStatus>,
    /// Whether something is still to be done for it.
    pub pending: bool,
    /// How many of its objects failed and wait to be tried again.
    pub retrying: usize,
    /// When something was last changed in the kernel for it; `None` if nothing was since the start.
    pub changed: Option<Duration>,
    /// The last failure, even if it is over.
    pub failure: Option<Failure>,
    /// What it asks for and does not get.
    pub problems: Vec<Problem>,
}

/// Something that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Duration,
    /// Which operation, and why.
    pub message: Box<str>,
}

/// One frontend of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendStatus {
    /// The frontend.
    pub frontend: Frontend,
    /// The protocol of its packets, which a frontend that is a mark does not say.
    pub protocol: Protocol,
    /// What the Service has it from.
    pub kind: FrontendKind,
    /// Name of the Service port, empty where there is only one.
    pub port: Box<str>,
    /// Which endpoints may answer.
    pub policy: TrafficPolicy,
    /// The Service that has it instead.
    pub held_by: Option<ObjectName>,
    /// The firewall mark of the view that clients inside the cluster have of it.
    pub inside: Option<u32>,
    /// The scheduler that it should have.
    pub scheduler: Scheduler,
    /// The scheduler's flags, and one-packet scheduling.
    pub flags: VirtualServerFlags,
    /// How long a client keeps its real server.
    pub persistence: Option<Persistence>,
    /// Upper threshold of each real server, 0 for none.
    pub max_connections: u32,
    /// Whether the kernel is known to have it.
    pub present: bool,
    /// Its real servers in order, as many as there is room for.
    pub real_servers: Vec<RealServerStatus>,
    /// How many it has in all.
    pub real_server_count: usize,
}

/// What a Service has a frontend from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendKind {
    /// `spec.clusterIPs`.
    ClusterIp,
    /// `status.loadBalancer.ingress`.
    LoadBalancer,
    /// `spec.ports[].nodePort`.
    NodePort,
    /// `spec.externalIPs`.
    ExternalIp,
    /// The view that clients inside the cluster have of others of its frontends.
    Inside,
}

/// One real server of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealServerStatus {
    /// Its address and port.
    pub key: RealServerKey,
    /// The weight that it should have; `None` for one that leaves.
    pub wanted: Option<u16>,
    /// The weight that the kernel is known to have; `None` for one that it lacks.
    pub present: Option<u32>,
    /// Since when it drains and until when it may.
    pub draining: Option<Draining>,
}

/// The time that a real server has for the connections that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draining {
    /// When it left, as far as is known: after a restart of the program, when that was.
    pub since: Duration,
    /// When it goes at the latest, to the second.
    pub until: Duration,
}

impl ServiceStatus {
    /// How many rows it is.
    pub fn rows(&self) -> usize {
        let real_servers = self.frontends.iter().map(|frontend| frontend.real_servers.len());
        1 + self.frontends.len() + real_servers.sum::<usize>()
    }
}
