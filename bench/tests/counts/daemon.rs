//! The program between the fake API server and the fake kernel.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use test_api::Cluster;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use trimtab_agent::allocator;
use trimtab_agent::health::Health;
use trimtab_agent::health_check::HealthChecks;
use trimtab_agent::kernel_memory::Machine;
use trimtab_agent::questions::Asker;
use trimtab_agent::{AuditPart, Inputs, Shared, SyncLoop, SyncSettings};
use trimtab_config::{Config, ConfigFile, Overrides, resolve};
use trimtab_core::Family;
use trimtab_kube::warning::Warnings;
use trimtab_kube::watch::{self as source, Timing};
use trimtab_reconcile::Reconciler;
use trimtab_reconcile::ports::HostNews;

use crate::api::{Api, Encoding, Resource};
use crate::heap::Heap;
use crate::kernel::{Counter, Tally};

/// The node that the program runs on: the first of the cluster.
pub(crate) const HERE: usize = 0;
/// Turns of the scheduler in which a change makes its way from the watch to the kernel, with some to
/// spare for what should not follow it.
const TURNS: usize = 12;

/// A program that has listed a cluster and is ready. There is one at a time, so that what is counted
/// is its own.
pub(crate) struct Daemon {
    pub(crate) kernel: Counter,
    /// The cost of listing and programming everything.
    pub(crate) start: Heap,
    api: Api,
    runtime: Runtime,
    _ends: (watch::Sender<bool>, mpsc::Sender<AuditPart>),
    _turn: MutexGuard<'static, ()>,
}

impl Daemon {
    /// With the defaults and `yaml` as its configuration.
    pub(crate) fn start(cluster: &Cluster, yaml: &str) -> Self {
        Self::start_with(cluster, yaml, Encoding::Protobuf)
    }

    /// The same, of an API server that encodes in this way.
    pub(crate) fn start_with(cluster: &Cluster, yaml: &str, encoding: Encoding) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        record_metrics();
        allocator::configure();
        let before = Heap::now();
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap();
        let api = Api::new(cluster.clone(), encoding);
        let kernel = Counter::default();
        let (health, ends) = runtime.block_on(run(&config(yaml), &api, &kernel));
        runtime.block_on(async {
            while !health.readyz().ok {
                tokio::task::yield_now().await;
            }
        });
        let start = Heap::now() - before;
        Self { kernel, start, api, runtime, _ends: ends, _turn: turn }
    }

    /// Sends a line of a watch and lets the program process it; returns the cost.
    pub(crate) fn send(&self, (resource, line): (Resource, String)) -> Heap {
        let line = self.api.encode(resource, line);
        let before = Heap::now();
        self.runtime.block_on(async {
            self.api.send(resource, line).await;
            settle().await;
        });
        Heap::now() - before
    }

    /// The length of an event as the API server sends it.
    pub(crate) fn length(&self, (resource, line): (Resource, String)) -> usize {
        self.api.encode(resource, line).len()
    }

    /// Sends lines one after the other; what they took, in the kernel and of memory.
    pub(crate) fn send_all(
        &self,
        lines: impl IntoIterator<Item = (Resource, String)>,
    ) -> (Tally, Heap) {
        let before = self.kernel.tally();
        let mut heap = Heap::default();
        for line in lines {
            heap += self.send(line);
        }
        (self.kernel.tally() - before, heap)
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        self.runtime.block_on(async {
            tokio::time::advance(time).await;
            settle().await;
        });
    }
}

async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// The metrics are recorded as in the program, but nothing scrapes them.
fn record_metrics() {
    static RECORDED: OnceLock<()> = OnceLock::new();
    RECORDED.get_or_init(|| drop(trimtab_metrics::install().unwrap()));
}

fn config(yaml: &str) -> Arc<Config> {
    let (mut file, _): (ConfigFile, _) =
        trimtab_config::parse("config.yaml".as_ref(), yaml).unwrap();
    file.mode = Some("ipvs".to_owned());
    let overrides = Overrides { hostname: Some(Cluster::node_name(HERE)), ..Overrides::default() };
    let (mut config, _) = resolve(&file, &overrides).unwrap();
    // Nobody reads traffic here; `cargo xtask bench scale` measures what that takes.
    config.traffic.enabled = false;
    Arc::new(config)
}

async fn run(
    config: &Arc<Config>,
    api: &Api,
    kernel: &Counter,
) -> (Arc<Health>, (watch::Sender<bool>, mpsc::Sender<AuditPart>)) {
    let (sender, changes) = mpsc::channel(1024);
    let (addresses, host_news) = mpsc::channel(1);
    let (parts, audit) = mpsc::channel(4);
    let (stop_sender, stop) = watch::channel(false);
    let (_asker, questions) = Asker::new();
    let inputs = Inputs { changes, host_news, audit, questions, stop };
    let health = Arc::new(Health::new(config.sync_period, &Family::ALL));
    let shared = Shared {
        health: Arc::clone(&health),
        pod_networks: watch::channel(Vec::new()).0,
        warnings: Arc::new(Warnings::new(None)),
        health_checks: Arc::new(HealthChecks::default()),
        owners: Arc::default(),
    };
    let settings = SyncSettings {
        min_sync_period: config.min_sync_period,
        config: Arc::clone(config),
        machine: Machine { possible_cpus: 4, memory: Some(16 << 30) },
    };
    let reconciler = Reconciler::new(config.settings());
    let sync = SyncLoop::new(reconciler, kernel.clone(), settings, shared);
    tokio::spawn(sync.run(inputs));
    addresses.send(HostNews::LocalAddresses(Vec::new())).await.unwrap();
    let client = api.client();
    let node = config.node_name.clone();
    let contact = Arc::clone(health.contact());
    tokio::spawn(async move {
        source::watch(client, &node, sender, &contact, &Timing::default()).await;
    });
    (health, (stop_sender, parts))
}
