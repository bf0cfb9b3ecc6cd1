//! A small cluster's network in network namespaces: nodes, their pods, clients outside.
//!
//! ```text
//!   pod 1.1   pod 1.2      pod 2.1   pod 2.2
//!       \     /                \     /          veth, routed or on a bridge
//!       node 1                 node 2   client 1
//!            \                   |      /       veth
//!             ----- fabric: a bridge ---
//! ```
//!
//! Addresses follow from numbers, counted from 1 ([`address`]). Nodes have routes to each other's
//! pods; pods and clients have only a default route. Everything is created with `ip -batch`, a
//! program that shares no code with Trimtab, and removed on drop.
//!
//! | module | what it knows |
//! |---|---|
//! | [`address`] | who has which address |
//! | [`layout`] | what a cluster consists of |
//! | `plan` | the commands that lay it |
//! | [`namespace`] | how to do something inside |
//! | [`server`], [`client`] | servers that say which pod they are and who called; clients |
//! | `host`, `socket`, `error` | a node, pod or client; sockets of the three protocols; errors |

pub mod address;
pub mod client;
mod error;
mod host;
pub mod layout;
pub mod namespace;
mod plan;
pub mod server;
mod socket;

pub use self::client::{Answer, Connection, Unanswered};
pub use self::error::Error;
pub use self::host::Host;
pub use self::layout::{Layout, NodeLayout, PodNetwork};
pub use self::namespace::Namespace;
pub use self::server::Server;

use std::sync::atomic::{AtomicU32, Ordering};

use self::namespace::Created;
use self::plan::Plan;

/// A network that is laid, until it is dropped.
#[derive(Debug)]
pub struct Topology {
    hosts: Vec<Host>,
    /// Last, so that what is above ends first.
    _created: Created,
}

impl Topology {
    /// Lays `layout`. Needs root and a kernel with network namespaces, veth and bridge.
    ///
    /// # Errors
    ///
    /// Where `ip` refuses something, with its words.
    pub fn lay(layout: &Layout) -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Another process may lay a network on the same machine, a killed one may have left some.
        let prefix = format!("t{}-{count}", std::process::id());

        let plan = Plan::of(layout);
        let names: Vec<String> =
            plan.spaces.iter().map(|space| format!("{prefix}-{}", space.name)).collect();
        let created = Created::new(&names)?;
        if layout.nodes.iter().any(|node| node.pod_network == PodNetwork::Bridged) {
            namespace::load_bridge_filter()?;
        }
        for (space, namespace) in plan.spaces.iter().zip(created.namespaces()) {
            for (name, value) in &space.sysctls {
                namespace.set_sysctl(name, value)?;
            }
        }
        // A space's veths are made from the outside in: those of the fabric first.
        for (space, namespace) in plan.spaces.iter().zip(created.namespaces()) {
            let lines = space.lines.iter().map(|line| plan::resolve(line, &prefix));
            namespace.ip_batch(&lines.collect::<Vec<_>>())?;
        }

        let namespaces = created.namespaces().iter().cloned();
        let hosts = plan
            .spaces
            .into_iter()
            .zip(namespaces)
            .map(|(space, namespace)| Host::new(space.name, namespace, space.addresses))
            .collect();
        Ok(Self { hosts, _created: created })
    }

    /// The node with this number.
    ///
    /// # Panics
    ///
    /// Where the layout has none of that number; so with pods and clients.
    pub fn node(&self, node: u8) -> &Host {
        self.host(&plan::node_name(node))
    }

    /// A pod, by its node's number and its own on that node.
    pub fn pod(&self, node: u8, pod: u8) -> &Host {
        self.host(&plan::pod_name(node, pod))
    }

    /// The client with this number.
    pub fn client(&self, client: u8) -> &Host {
        self.host(&plan::client_name(client))
    }

    /// The bridge between nodes and clients: the place to see what goes between them.
    pub fn fabric(&self) -> &Namespace {
        self.host(plan::FABRIC).namespace()
    }

    fn host(&self, name: &str) -> &Host {
        match self.hosts.iter().find(|host| host.name() == name) {
            Some(host) => host,
            None => panic!("there is no {name} in this topology; counting starts from 1"),
        }
    }
}
