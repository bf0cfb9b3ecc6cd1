//! Questions about what is programmed, and their answers; both of bounded size.

use trimtab_core::objects::ObjectName;
use trimtab_core::{Frontend, RealServerKey, Scheduler};

use crate::problem::Problem;

/// A question about what is programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// About which Services.
    pub of: QueryOf,
    /// How many rows the answer may have: each Service, each frontend and each real server is one. At
    /// least one Service is told of.
    pub limit: usize,
}

/// The Services that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryOf {
    /// This one.
    Service(ObjectName),
    /// All of them, in order of name, from the first one.
    All,
    /// All of them that come after this name.
    After(ObjectName),
}

/// What is programmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Services in order of name.
    pub services: Vec<ServiceStatus>,
    /// Whether there are more, so that [`QueryOf::After`] the last one goes on.
    pub more: bool,
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub service: ObjectName,
    /// Its frontends in order.
    pub frontends: Vec<FrontendStatus>,
    /// How many frontends it has besides, for which there was no room.
    pub left_out: usize,
    /// Whether something is still to be done for it.
    pub pending: bool,
    /// What it asks for and does not get.
    pub problems: Vec<Problem>,
}

/// One frontend of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendStatus {
    /// The frontend.
    pub frontend: Frontend,
    /// What the Service has it from, in words: `cluster IP`, `node port`, ..., or `inside` for the view
    /// of clients inside the cluster.
    pub kind: &'static str,
    /// Name of the Service port, empty where there is only one.
    pub port: Box<str>,
    /// The Service that has it instead.
    pub held_by: Option<ObjectName>,
    /// The firewall mark of the view that clients inside the cluster have of it.
    pub inside: Option<u32>,
    /// The scheduler that it should have.
    pub scheduler: Scheduler,
    /// Whether the kernel is known to have it.
    pub present: bool,
    /// Its real servers in order, as many as there is room for.
    pub real_servers: Vec<RealServerStatus>,
    /// How many it has in all.
    pub real_server_count: usize,
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
}

impl ServiceStatus {
    /// How many rows it is.
    pub fn rows(&self) -> usize {
        let real_servers = self.frontends.iter().map(|frontend| frontend.real_servers.len());
        1 + self.frontends.len() + real_servers.sum::<usize>()
    }
}
