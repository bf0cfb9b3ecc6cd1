//! The loop that receives changes and programs the kernel.

mod asked;
mod comparing;
mod drains;
mod intake;
mod rounds;
mod settled;
mod start;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;
use trimtab_core::Frontend;
use trimtab_kube::Arrival;
use trimtab_kube::warning::Warnings;
use trimtab_reconcile::ports::{DataPlane, HostNews, PortError};
use trimtab_reconcile::{Drift, Reconciler};

use crate::addresses::Addresses;
use crate::audit::AuditPart;
use crate::findings::Findings;
use crate::health::Health;
use crate::health_check::HealthChecks;
use crate::kernel_memory::Machine;
use crate::lists::Lists;
use crate::pace::Pace;
use crate::questions::{Compared, Question};
use crate::traffic::Owners;

/// How many changes are processed before the next round.
const INTAKE: usize = 4096;

/// The loop's part of the configuration.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// Shortest time between two rounds.
    pub min_sync_period: Duration,
    /// The configuration, for what depends on the Node object.
    pub config: Arc<trimtab_config::Config>,
    /// The machine, to estimate the memory for statistics.
    pub machine: Machine,
}

/// What the loop shares with the rest of the program.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Health and readiness.
    pub health: Arc<Health>,
    /// Our Node's own pod networks, which the rules may depend on.
    pub pod_networks: watch::Sender<Vec<ipnet::IpNet>>,
    /// Problems with objects.
    pub warnings: Arc<Warnings>,
    /// The health-check node ports.
    pub health_checks: Arc<HealthChecks>,
    /// Which Service port has which frontend, for those who count traffic.
    pub owners: Arc<Owners>,
}

/// The inputs of the loop.
#[derive(Debug)]
pub struct Inputs {
    /// Changes of objects; the loop ends when this channel is closed.
    pub changes: mpsc::Receiver<Arrival>,
    /// What the host's kernel tells of by itself.
    pub host_news: mpsc::Receiver<HostNews>,
    /// The parts of comparisons with the kernel.
    pub audit: mpsc::Receiver<AuditPart>,
    /// Questions of others; [`Asker::new`](crate::questions::Asker::new) makes them.
    pub questions: mpsc::Receiver<Question>,
    /// True ends the loop.
    pub stop: watch::Receiver<bool>,
}

/// How far startup has progressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The input is not complete yet; the kernel is not touched.
    Listing,
    /// The kernel has been read and is being programmed for the first time.
    Programming,
    /// The kernel has been programmed once.
    Ready,
}

/// The loop and its state.
#[derive(Debug)]
pub struct SyncLoop<D> {
    reconciler: Reconciler,
    plane: D,
    settings: SyncSettings,
    shared: Shared,
    lists: Lists,
    pace: Pace,
    addresses: Addresses,
    epoch: Instant,
    stage: Stage,
    /// How many VIPs were not bound yet when VIPs of the other `vipBinding` were last removed; zero
    /// once all are removed.
    unbound: Option<usize>,
    /// When to retry preparing the host, and how long to wait if that fails, too.
    next_attempt: Option<Instant>,
    pause: Duration,
    /// A list has ended, so free memory can be returned to the kernel.
    listed: bool,
    next_drain_poll: Option<Instant>,
    /// Virtual servers whose connections are still to be read.
    to_ask: Vec<Frontend>,
    pending_since: Option<Instant>,
    triggers: Vec<jiff::Timestamp>,
    drift: Drift,
    compared: Compared,
    findings: Findings,
    told_not_ready: bool,
}

impl<D: DataPlane> SyncLoop<D> {
    /// A loop that has processed nothing yet.
    pub fn new(reconciler: Reconciler, plane: D, settings: SyncSettings, shared: Shared) -> Self {
        Self {
            reconciler,
            plane,
            pace: Pace::new(settings.min_sync_period),
            settings,
            findings: Findings::new(Arc::clone(&shared.warnings)),
            shared,
            lists: Lists::default(),
            addresses: Addresses::default(),
            epoch: Instant::now(),
            stage: Stage::Listing,
            unbound: None,
            next_attempt: None,
            pause: start::FIRST_PAUSE,
            listed: false,
            next_drain_poll: None,
            to_ask: Vec::new(),
            pending_since: None,
            triggers: Vec::new(),
            drift: Drift::default(),
            compared: Compared::default(),
            told_not_ready: false,
        }
    }

    /// Runs until `changes` ends or `stop` says so, and leaves the kernel as it is.
    ///
    /// # Errors
    /// If the kernel cannot be read at startup. If the host cannot be prepared, it retries instead.
    pub async fn run(mut self, inputs: Inputs) -> Result<D, PortError> {
        let Inputs { mut changes, mut host_news, mut audit, mut questions, mut stop } = inputs;
        loop {
            let wake = self.wake_at();
            let mut asked = None;
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                arrival = changes.recv() => {
                    let Some(arrival) = arrival else { break };
                    let mut taken = self.take_all(arrival);
                    while taken < INTAKE {
                        let Ok(arrival) = changes.try_recv() else { break };
                        taken += self.take_all(arrival);
                    }
                }
                Some(news) = host_news.recv() => self.take_host_news(news),
                Some(part) = audit.recv(), if self.stage != Stage::Listing => self.compare(part),
                Some(question) = questions.recv() => asked = Some(question),
                () = sleep_until(wake), if wake.is_some() => {}
            }
            self.start_programming()?;
            self.advance();
            // One in each turn: also while changes keep arriving, and at the cost of one answer.
            if let Some(question) = asked.or_else(|| questions.try_recv().ok()) {
                self.answer(question);
            }
        }
        info!("stopped; the kernel keeps forwarding");
        Ok(self.plane)
    }

    /// When to wake up if no input arrives.
    fn wake_at(&self) -> Option<Instant> {
        if self.stage == Stage::Listing {
            return self.next_attempt;
        }
        let now = Instant::now();
        if !self.to_ask.is_empty() || self.reconciler.has_to_reread() {
            return Some(now);
        }
        let work = if self.reconciler.is_idle() {
            self.reconciler.next_retry().map(|due| self.epoch + due)
        } else {
            Some(now)
        };
        let round = work.map(|due| self.pace.begin(due));
        [round, self.addresses.next(), self.next_drain_poll].into_iter().flatten().min()
    }

    /// Does what is due now.
    fn advance(&mut self) {
        if self.stage == Stage::Listing {
            return;
        }
        let now = Instant::now();
        if let Some(addresses) = self.addresses.lose(now) {
            self.set_local_addresses(addresses);
        }
        self.reread();
        self.read_again_if_renewed();
        self.poll_drains();
        let now = Instant::now();
        let retry_due = self.reconciler.next_retry().is_some_and(|due| self.epoch + due <= now);
        if self.pace.allows(now) && (!self.reconciler.is_idle() || retry_due) {
            self.round();
            self.read_again_if_renewed();
        }
        // Also if a change needs no operation, whatever the pace.
        if self.reconciler.is_idle() {
            self.settled();
            self.tell();
        }
        self.shared.owners.tell(self.reconciler.take_owners());
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
