//! A running daemon with a fake kernel.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use trimtab_agent::health::Health;
use trimtab_agent::health_check::HealthChecks;
use trimtab_agent::questions::Asker;
use trimtab_agent::traffic::{Meter, Owners, Shown};
use trimtab_agent::{Auditor, Inputs, Notices, Shared, SyncLoop, SyncSettings};
use trimtab_config::{Config, ConfigFile, Overrides, resolve};
use trimtab_core::Family;
use trimtab_core::objects::LocalAddress;
use trimtab_kube::manifest::{Manifest, read_text};
use trimtab_kube::objects::NodeState;
use trimtab_kube::warning::{Board, Warnings};
use trimtab_kube::watch::{self as source, Timing};
use trimtab_kube::{Arrival, Change, Kind};
use trimtab_reconcile::Reconciler;
use trimtab_reconcile::ports::{HostNews, PortError};

use crate::kernel::FakeKernel;

/// A running loop and auditor, and what they share with the test.
pub(crate) struct Rig {
    pub(crate) kernel: FakeKernel,
    pub(crate) changes: mpsc::Sender<Arrival>,
    host: mpsc::Sender<HostNews>,
    pub(crate) health: Arc<Health>,
    pub(crate) warnings: Arc<Warnings>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) asker: Asker,
    pub(crate) config: Arc<Config>,
    pub(crate) traffic: Arc<Shown>,
    stop: watch::Sender<bool>,
    sync: JoinHandle<Result<FakeKernel, PortError>>,
}

pub(crate) fn config(yaml: &str) -> Config {
    let path = std::path::Path::new("config.yaml");
    let (mut file, _): (ConfigFile, _) = trimtab_config::parse(path, yaml).unwrap();
    file.mode = Some("ipvs".to_owned());
    let overrides = Overrides { hostname: Some("node-a".to_owned()), ..Overrides::default() };
    resolve(&file, &overrides).unwrap().0
}

impl Rig {
    /// On a node without addresses.
    pub(crate) fn start(kernel: FakeKernel, yaml: &str) -> Self {
        Self::start_with(kernel, yaml, None)
    }

    /// With a board for Events.
    pub(crate) fn start_with(kernel: FakeKernel, yaml: &str, board: Option<Arc<Board>>) -> Self {
        let rig = Self::start_bare(kernel, yaml, board);
        rig.host.try_send(HostNews::LocalAddresses(Vec::new())).unwrap();
        rig
    }

    /// Before the node's addresses are known.
    pub(crate) fn start_without_addresses(kernel: FakeKernel, yaml: &str) -> Self {
        Self::start_bare(kernel, yaml, None)
    }

    fn start_bare(kernel: FakeKernel, yaml: &str, board: Option<Arc<Board>>) -> Self {
        let config = Arc::new(config(yaml));
        let (sender, changes) = mpsc::channel(64);
        let (host, host_news) = mpsc::channel(4);
        let (parts, audit) = mpsc::channel(4);
        let (stop_sender, stop) = watch::channel(false);
        let (asker, questions) = Asker::new();
        let inputs = Inputs { changes, host_news, audit, questions, stop: stop.clone() };
        let health = Arc::new(Health::new(config.sync_period, &Family::ALL));
        let warnings = Arc::new(Warnings::new(board));
        let health_checks = Arc::new(HealthChecks::default());
        let serve = Arc::clone(&health_checks).serve(Arc::clone(&health), Arc::clone(&warnings));
        tokio::spawn(serve);
        let owners = Arc::new(Owners::default());
        let shared = Shared {
            health: Arc::clone(&health),
            pod_networks: watch::channel(Vec::new()).0,
            warnings: Arc::clone(&warnings),
            health_checks,
            owners: Arc::clone(&owners),
        };
        let sync_settings = SyncSettings {
            min_sync_period: config.min_sync_period,
            config: Arc::clone(&config),
            machine: trimtab_agent::kernel_memory::Machine {
                possible_cpus: 4,
                memory: Some(16 << 30),
            },
        };
        let reconciler = Reconciler::new(config.settings());
        let sync = SyncLoop::new(reconciler, kernel.clone(), sync_settings, shared);
        let sync = tokio::spawn(sync.run(inputs));
        let notices = Arc::new(Notices::default());
        let auditor = Auditor::new(
            kernel.reader(),
            config.sync_period,
            parts,
            Arc::clone(&health),
            Arc::clone(&notices),
        );
        tokio::spawn(auditor.run());
        let traffic = Arc::new(Shown::default());
        let meter = Meter::new(
            kernel.reader(),
            config.traffic.clone(),
            owners,
            Arc::clone(&health),
            Arc::clone(&traffic),
            stop,
        );
        tokio::spawn(meter.run());
        let (changes, stop) = (sender, stop_sender);
        Self {
            kernel,
            changes,
            host,
            health,
            warnings,
            notices,
            asker,
            config,
            traffic,
            stop,
            sync,
        }
    }

    /// Watches an API server as the node `node-a`.
    pub(crate) fn follow(&self, client: kube::Client, timing: Timing) {
        let (changes, contact) = (self.changes.clone(), Arc::clone(self.health.contact()));
        tokio::spawn(async move {
            source::watch(client, "node-a", changes, &contact, &timing).await;
        });
    }

    /// Watches the weights of all Nodes.
    pub(crate) fn follow_node_weights(&self, client: kube::Client, timing: Timing) {
        let (changes, contact) = (self.changes.clone(), Arc::clone(self.health.contact()));
        tokio::spawn(async move {
            source::watch_node_weights(client, changes, &contact, &timing).await;
        });
    }

    pub(crate) async fn send(&self, change: Change) {
        self.changes.send(Arrival::now(vec![change])).await.unwrap();
    }

    /// The addresses of the node's interfaces change.
    pub(crate) async fn has_addresses(&self, addresses: Vec<LocalAddress>) {
        self.host.send(HostNews::LocalAddresses(addresses)).await.unwrap();
    }

    /// VIPs are unbound, which the kernel tells.
    pub(crate) async fn are_unbound(&self, vips: &[IpAddr]) {
        self.host.send(HostNews::Unbound(vips.to_vec())).await.unwrap();
    }

    /// Sends everything in a manifest, as changes.
    pub(crate) async fn apply(&self, yaml: &str) {
        for change in changes(yaml) {
            self.send(change).await;
        }
        self.settle().await;
    }

    /// Sends a manifest as complete lists.
    pub(crate) async fn list(&self, yaml: &str) {
        for kind in Kind::ALL {
            self.send(Change::Begin(kind)).await;
        }
        for change in changes(yaml) {
            self.send(change).await;
        }
        self.send(Change::Node(Some(NodeState { eligible: true, ..NodeState::default() }))).await;
        for kind in Kind::ALL {
            self.send(Change::End(kind)).await;
        }
        self.settle().await;
    }

    /// Lets the loop do what it can without time passing.
    pub(crate) async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn wait(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.settle().await;
    }

    pub(crate) async fn stop(self) -> FakeKernel {
        self.stop.send(true).unwrap();
        self.sync.await.unwrap().unwrap()
    }
}

pub(crate) fn changes(yaml: &str) -> Vec<Change> {
    let mut manifest = Manifest::default();
    read_text("test", yaml, &mut manifest).unwrap();
    let services = manifest.services.into_iter();
    let slices = manifest.slices.into_iter();
    services
        .map(|(_, service)| Change::Service(Box::new(service.decoded)))
        .chain(slices.map(|(_, slice)| Change::Slice(Box::new(slice.decoded), slice.changed)))
        .collect()
}

/// A Service with one TCP port.
pub(crate) fn service(name: &str, ip: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}\n"
    )
}

/// Its endpoints.
pub(crate) fn slice(service: &str, addresses: &[&str]) -> String {
    let endpoints: Vec<String> =
        addresses.iter().map(|address| format!("{{addresses: [{address}]}}")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-1, namespace: n, labels: \
         {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{endpoints}]\n"
    )
}
