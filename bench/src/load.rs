//! The cluster that a proxy sees, and its changes.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use test_api::{ApiServer, Cluster, Config, EndpointChange};
use trimtab_core::{Frontend, Protocol, RealServerKey};

/// The name of the API server's thread.
pub const API_THREAD: &str = "fixture-api";
/// The VIP of the rolling update's Service.
pub const ROLLING_VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 200);
/// What the EndpointSlice controller puts into one slice.
const SLICE: usize = 100;

/// An expected change in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Of which virtual server.
    pub frontend: Frontend,
    /// Which real server.
    pub real_server: RealServerKey,
    /// Whether it gets new connections from now on.
    pub serves: bool,
    /// The moment before the change.
    pub at: Instant,
}

/// An API server with a synthetic cluster, in this namespace, on a thread of its own.
#[derive(Debug)]
pub struct Load {
    api: ApiServer,
    cluster: Cluster,
    kubeconfig: PathBuf,
    /// Endpoints that are not ready, by Service and number.
    unready: BTreeSet<(usize, usize)>,
    /// The same in the order in which they went.
    away: VecDeque<(usize, usize)>,
    /// How many have gone so far.
    gone: usize,
    /// Endpoints of the rolling update's Service that have been replaced so far; `None` without
    /// that Service.
    rolling: Option<Vec<usize>>,
}

impl Load {
    /// Starts the server with everything in it.
    ///
    /// # Errors
    /// When it cannot listen or the kubeconfig not be written.
    pub fn start(cluster: Cluster, folder: &Path) -> Result<Self> {
        let api = ApiServer::start_on_thread(Config::default()).context("the API server")?;
        api.load(&cluster);
        api.encode_all();
        let kubeconfig = folder.join("kubeconfig.yaml");
        api.write_kubeconfig(&kubeconfig)?;
        let (unready, away) = (BTreeSet::new(), VecDeque::new());
        Ok(Self { api, cluster, kubeconfig, unready, away, gone: 0, rolling: None })
    }

    /// The cluster as it began.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How a proxy reaches the server.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The virtual server of a Service.
    pub fn frontend(service: usize) -> Frontend {
        Frontend::new(Protocol::Tcp, Cluster::vip(service).into(), Cluster::PORT)
    }

    /// A real server of a Service.
    pub fn real_server(&self, service: usize, endpoint: usize) -> RealServerKey {
        RealServerKey::new(self.cluster.endpoint(service, endpoint).into(), Cluster::TARGET_PORT)
    }

    /// Whether an endpoint is ready now.
    pub fn is_ready(&self, service: usize, endpoint: usize) -> bool {
        !self.unready.contains(&(service, endpoint))
    }

    /// Makes an endpoint ready or not. Endpoints become unready in all Services in turn, though not
    /// in order, and become ready again in the order in which they became unready: once enough are
    /// unready, one for each further one.
    ///
    /// # Errors
    /// When the cluster has no such endpoint.
    pub fn toggle(&mut self) -> Result<Expectation> {
        let returning = self.away.len() > self.most_away();
        let returns = returning.then(|| self.away.pop_front()).flatten();
        let place @ (service, endpoint) = returns.unwrap_or_else(|| self.next());
        let ready = returns.is_some();
        let (slice, index) = Cluster::slice(service, endpoint);
        let change = self.api.change_endpoint(&slice, &EndpointChange::Ready { index, ready })?;
        if ready {
            self.unready.remove(&place);
        } else {
            self.unready.insert(place);
            self.away.push_back(place);
        }
        let (frontend, real_server) =
            (Self::frontend(service), self.real_server(service, endpoint));
        Ok(Expectation { frontend, real_server, serves: ready, at: change.at })
    }

    /// The endpoint that goes next.
    fn next(&mut self) -> (usize, usize) {
        let services = self.cluster.services();
        let (pass, step) = (self.gone / services, self.gone % services);
        self.gone += 1;
        // Half of a Service's endpoints never go.
        let toggled = (self.cluster.endpoints() / 2).max(1);
        ((step * stride(services)) % services, pass % toggled)
    }

    /// The maximum number of unready endpoints, and so the minimum number of changes between two of
    /// the same endpoint.
    pub fn most_away(&self) -> usize {
        // The kernel keeps deleted real servers for two minutes and walks that list for each real
        // server that is added (ip_vs_trash_get_dest): if all were removed before one comes back,
        // the benchmark would only measure that.
        self.cluster.services().min(4000)
    }

    /// Adds a Service with this many endpoints, to be updated as a whole.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn add_rolling(&mut self, endpoints: usize) -> Result<()> {
        let namespace = Cluster::NAMESPACE;
        let port = Cluster::TARGET_PORT;
        for part in 0..endpoints.div_ceil(SLICE) {
            let members: Vec<_> = (part * SLICE..endpoints.min((part + 1) * SLICE))
                .map(|number| json!({"addresses": [rolling_address(number, false)], "nodeName": Cluster::node_name(1), "conditions": {"ready": true}}))
                .collect();
            self.api.create(json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": rolling_slice(part), "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": "rolling"}},
                "addressType": "IPv4", "endpoints": members,
                "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            }))?;
        }
        self.api.create(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "rolling", "namespace": namespace},
            "spec": {"clusterIP": ROLLING_VIP.to_string(), "clusterIPs": [ROLLING_VIP.to_string()],
                "ipFamilies": ["IPv4"], "type": "ClusterIP",
                "ports": [{"name": "http", "port": Cluster::PORT, "protocol": "TCP", "targetPort": port}]},
        }))?;
        self.rolling = Some(vec![0; endpoints.div_ceil(SLICE)]);
        Ok(())
    }

    /// Puts another pod in the place of endpoint `number` of that Service: the new one is added,
    /// then the old one goes. Endpoints must be replaced in the order of their numbers.
    ///
    /// # Errors
    /// When there is no such Service or endpoint.
    pub fn replace(&mut self, number: usize) -> Result<Expectation> {
        let slice = format!("{}/{}", Cluster::NAMESPACE, rolling_slice(number / SLICE));
        let address = rolling_address(number, true);
        let node = Cluster::node_name(1);
        self.api.change_endpoint(&slice, &EndpointChange::Add { address, node })?;
        // The oldest is always the first.
        let change = self.api.change_endpoint(&slice, &EndpointChange::Remove { index: 0 })?;
        if let Some(replaced) = &mut self.rolling {
            replaced[number / SLICE] += 1;
        }
        Ok(Expectation {
            frontend: Self::rolling_frontend(),
            real_server: RealServerKey::new(rolling_address(number, false), Cluster::TARGET_PORT),
            serves: false,
            at: change.at,
        })
    }

    /// The virtual server of the Service that is updated as a whole.
    pub fn rolling_frontend() -> Frontend {
        Frontend::new(Protocol::Tcp, ROLLING_VIP.into(), Cluster::PORT)
    }

    /// The real servers of that Service; none without it.
    pub fn rolling_servers(&self) -> Vec<RealServerKey> {
        let parts = self.rolling.iter().flatten().enumerate();
        let servers = parts.flat_map(|(part, replaced)| {
            (0..SLICE).map(move |at| rolling_address(part * SLICE + at, at < *replaced))
        });
        servers.map(|address| RealServerKey::new(address, Cluster::TARGET_PORT)).collect()
    }
}

fn rolling_slice(part: usize) -> String {
    format!("rolling-{part}")
}

/// Pods of the Service that is updated as a whole: 10.64.0.0 on before, 10.65.0.0 on after.
fn rolling_address(number: usize, replaced: bool) -> IpAddr {
    let first = Ipv4Addr::new(10, 64 + u8::from(replaced), 0, 0).to_bits();
    Ipv4Addr::from_bits(first + u32::try_from(number).unwrap_or(u32::MAX)).into()
}

/// A step through all of `count` that meets each once: about 0.6 of it, and without a common divisor.
fn stride(count: usize) -> usize {
    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    let mut step = (count * 61 / 100).max(1);
    while gcd(step, count) != 1 {
        step += 1;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_met_once_in_a_pass() {
        for count in [1, 2, 10, 1000, 50_000] {
            let step = stride(count);
            let met: BTreeSet<usize> = (0..count).map(|n| n * step % count).collect();
            assert_eq!(met.len(), count);
        }
    }

    #[test]
    fn endpoints_go_and_come_back_one_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut load = Load::start(Cluster::synthetic(3, 5, 1), folder.path()).unwrap();
        assert_eq!(load.most_away(), 3);
        let serve: Vec<bool> = (0..20).map(|_| load.toggle().unwrap().serves).collect();
        assert_eq!(serve[..4], [false; 4]);
        assert!(serve[4..].chunks(2).all(|pair| pair == [true, false]), "{serve:?}");
        assert_eq!((load.unready.len(), load.away.len()), (4, 4));
    }

    #[test]
    fn a_rolling_update_replaces_every_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let mut load = Load::start(Cluster::synthetic(1, 1, 1), folder.path()).unwrap();
        load.add_rolling(200).unwrap();
        let before: BTreeSet<_> = load.rolling_servers().into_iter().collect();
        for number in 0..200 {
            load.replace(number).unwrap();
        }
        let after: BTreeSet<_> = load.rolling_servers().into_iter().collect();
        assert_eq!((before.len(), after.len()), (200, 200));
        assert!(before.is_disjoint(&after));
    }
}
