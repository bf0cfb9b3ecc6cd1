//! A cluster to run Trimtab on: a network of namespaces, the fixture API server on its fabric, and
//! the program on as many nodes as needed.
//!
//! ```no_run
//! use trimtab_core::Protocol;
//! use trimtab_integration::cluster::{Cluster, ServiceSpec};
//! use trimtab_integration::topology::Layout;
//!
//! # fn main() -> anyhow::Result<()> {
//! let cluster = Cluster::start(&Layout::default())?;
//! let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
//! cluster.apply(&web.service())?;
//! cluster.apply_all(&web.slices(&[(1, 1), (2, 1)]))?;
//! let proxy = cluster.proxy(1).start()?;
//! let _server = cluster.topology.pod(2, 1).serve(&[Protocol::Tcp], 8080)?;
//! println!("{:?}", cluster.topology.pod(1, 2).ask(Protocol::Tcp, web.at_v4(80)));
//! # drop(proxy); Ok(())
//! # }
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`objects`] | Services and EndpointSlices for the pods of a layout |
//! | [`proxy`] | the program on a node: its start, its end, its health and metrics |
//! | [`traffic`] | who answers at a VIP, and waiting for that |
//! | [`witness`] | the kernel's state, as ipvsadm, ipset, ip and conntrack print it |

pub mod objects;
pub mod proxy;
pub mod traffic;
pub mod witness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use trimtab_core::{Family, Protocol};

pub use objects::ServiceSpec;
pub use proxy::{Proxy, ProxyBuilder};

use crate::topology::{Layout, Server, Topology, address};
use test_api::{ApiServer, Config, Resource};

/// Longer than anything here takes, also on an emulated processor that others keep busy: there, a
/// start of the program was seen to take more than a minute. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(600);

/// A network with an API server.
#[derive(Debug)]
pub struct Cluster {
    /// The network.
    pub topology: Topology,
    /// The API server, on the fabric, where every node reaches it.
    pub api: ApiServer,
    folder: TempDir,
}

impl Cluster {
    /// Creates the network, starts the API server and adds the Node objects: `node1` and so on.
    ///
    /// # Errors
    /// Where the network cannot be laid or the server not be started.
    pub fn start(layout: &Layout) -> anyhow::Result<Self> {
        let topology = Topology::lay(layout)?;
        let listen = SocketAddr::new(address::fabric(Family::V4), 0);
        let config = Config { listen, ..Config::default() };
        let api = topology.fabric().run(|| ApiServer::start_on_thread(config))??;
        let folder = tempfile::Builder::new().prefix("trimtab-cluster-").tempdir()?;
        let cluster = Self { topology, api, folder };
        for (number, _) in (1u8..).zip(&layout.nodes) {
            cluster.apply(&objects::node(number, &json!({})))?;
        }
        cluster.api.write_kubeconfig(&cluster.kubeconfig())?;
        Ok(cluster)
    }

    /// Creates an object, or changes it.
    ///
    /// # Errors
    /// Where the API server refuses it.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        self.api.apply(object.clone()).with_context(|| format!("applying {object}"))?;
        Ok(())
    }

    /// Creates or changes several objects.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub fn apply_all(&self, objects: &[Value]) -> anyhow::Result<()> {
        objects.iter().try_for_each(|object| self.apply(object))
    }

    /// Creates a Service and slices with these pods as its ready endpoints, or changes them.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub fn publish(&self, spec: &ServiceSpec, pods: &[(u8, u8)]) -> anyhow::Result<()> {
        self.apply(&spec.service())?;
        self.apply_all(&spec.slices(pods))
    }

    /// Deletes a Service; its slices stay.
    ///
    /// # Errors
    /// Where there is none.
    pub fn delete_service(&self, name: &str) -> anyhow::Result<()> {
        let key = format!("default/{name}");
        self.api.delete(Resource::Services, &key).with_context(|| format!("deleting {key}"))
    }

    /// Has each of these pods answer on `port`, by all of `protocols`.
    ///
    /// # Errors
    /// If a socket cannot be made or bound.
    pub fn serve(
        &self,
        pods: &[(u8, u8)],
        protocols: &[Protocol],
        port: u16,
    ) -> anyhow::Result<Vec<Server>> {
        let serve = |(node, pod): &(u8, u8)| self.topology.pod(*node, *pod).serve(protocols, port);
        Ok(pods.iter().map(serve).collect::<Result<_, _>>()?)
    }

    /// The program for a node, not started yet.
    pub fn proxy(&self, node: u8) -> ProxyBuilder {
        ProxyBuilder::new(self.topology.node(node).clone(), self.folder.path())
            .kubeconfig(&self.kubeconfig())
    }

    /// A path for a file or folder that goes with the cluster.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The kubeconfig of its API server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig.yaml")
    }
}

/// Polls until there is an answer.
///
/// # Errors
/// When there is none within ten minutes, with what it waited for.
pub fn eventually<T>(
    what: impl std::fmt::Display,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("never: {what}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
