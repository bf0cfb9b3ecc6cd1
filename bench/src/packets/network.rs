//! The network of one program: a node, pods that answer, and clients.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use test_api as api;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{Host, Layout, NodeLayout, PodNetwork, address};

use super::ports::Ports;
use super::server::Server;
use super::target::Target;

/// The node that everything is on, by its number in the topology.
const NODE: u8 = 1;
/// Of the measured Service.
const PORT: u16 = 80;
const TARGET_PORT: u16 = 8080;

/// Where the requests come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Pods of the node, each with an address of its own
    #[default]
    Pod,
    /// The node itself
    Node,
    /// Hosts outside the cluster that have routes through the node
    Outside,
}

impl Origin {
    /// As it is given on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Outside => "outside",
        }
    }
}

/// What the network consists of.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Endpoints of the measured Service.
    pub pods: u8,
    /// Clients that call at the same time.
    pub clients: u8,
    /// Where they are.
    pub from: Origin,
    /// Connections that each client opens in all.
    pub connections: usize,
}

/// One that calls.
#[derive(Debug)]
pub struct Client {
    /// Where it is.
    pub host: Host,
    /// Its ports.
    pub ports: Ports,
}

/// The network, laid and with its pods at work.
#[derive(Debug)]
pub struct Network {
    /// Those that call.
    pub clients: Vec<Client>,
    pods: Vec<(String, SocketAddr)>,
    spec: ServiceSpec,
    _servers: Vec<Server>,
    /// The network and its API server; last, so that what is in it ends first.
    pub cluster: Cluster,
}

impl Network {
    /// Lays it, and has `services` Services in its API server: the measured one, and synthetic ones
    /// of `endpoints` endpoints, which nobody calls.
    ///
    /// # Errors
    /// When it cannot be laid, or the clients have too few ports.
    pub fn lay(size: Size, services: usize, endpoints: usize) -> Result<Self> {
        let outside = if size.from == Origin::Outside { size.clients } else { 0 };
        let inside = if size.from == Origin::Pod { size.clients } else { 0 };
        let pods = size.pods.checked_add(inside).context("too many pods and clients")?;
        let node = NodeLayout { pods, pod_network: PodNetwork::Routed, is_router: true };
        let cluster = Cluster::start(&Layout { nodes: vec![node], clients: outside })?;

        let hosts: Vec<&Host> =
            (1..=size.pods).map(|pod| cluster.topology.pod(NODE, pod)).collect();
        let pods: Vec<(String, SocketAddr)> = hosts
            .iter()
            .map(|host| {
                let address = SocketAddr::new(host.address(Family::V4), TARGET_PORT);
                (host.name().to_owned(), address)
            })
            .collect();
        let servers = hosts
            .iter()
            .zip(&pods)
            .map(|(host, (name, address))| Server::start(host.namespace(), name, *address))
            .collect::<Result<_>>()?;
        let clients = (1..=size.clients)
            .map(|number| client(&cluster, size, number))
            .collect::<Result<_>>()?;

        if services > 1 {
            cluster.api.load(&api::Cluster::synthetic(services - 1, endpoints, 1));
        }
        let spec = ServiceSpec::new("measured", 1).single_stack(Family::V4);
        let spec = spec.port("http", Protocol::Tcp, PORT, TARGET_PORT);
        publish(&cluster, &spec, size.pods)?;
        Ok(Self { clients, pods, spec, _servers: servers, cluster })
    }

    /// The node.
    pub fn node(&self) -> &Host {
        self.cluster.topology.node(NODE)
    }

    /// The address of the measured Service.
    pub fn vip(&self) -> SocketAddr {
        self.spec.at_v4(PORT)
    }

    /// The pods by their own addresses.
    pub fn direct(&self) -> Target {
        Target::direct(&self.pods)
    }

    /// The pods by the VIP.
    pub fn by_vip(&self) -> Target {
        Target::vip(&self.pods, self.vip())
    }

    /// The addresses of the pods.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.pods.iter().map(|(_, address)| *address)
    }
}

/// The measured Service, and the node under the name that the programs are started with.
fn publish(cluster: &Cluster, spec: &ServiceSpec, pods: u8) -> Result<()> {
    let name = api::Cluster::node_name(0);
    let address = address::node(NODE, Family::V4);
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }))?;
    let ready = json!({
        "nodeName": name,
        "conditions": {"ready": true, "serving": true, "terminating": false},
    });
    let endpoints: Vec<_> = (1..=pods).map(|pod| (NODE, pod, ready.clone())).collect();
    cluster.apply(&spec.service())?;
    cluster.apply_all(&spec.slices_with(&endpoints))
}

fn client(cluster: &Cluster, size: Size, number: u8) -> Result<Client> {
    let topology = &cluster.topology;
    let node = topology.node(NODE);
    let host = match size.from {
        Origin::Pod => topology.pod(NODE, size.pods + number),
        Origin::Node => node,
        Origin::Outside => {
            let host = topology.client(number);
            host.route_services_via(node)?;
            let (pods, node) = (address::pod_cidr(NODE, Family::V4), node.address(Family::V4));
            host.namespace().ip_batch(&[format!("route replace {pods} via {node}")])?;
            host
        }
    };
    // All clients of the node share its address.
    let (part, of) = if size.from == Origin::Node { (number - 1, size.clients) } else { (0, 1) };
    let ports = Ports::part(part.into(), of.into(), size.connections)?;
    Ok(Client { host: host.clone(), ports })
}
