//! The loop that takes changes in and programs the kernel.

mod drains;
mod looking;
mod start;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use trimtab_core::objects::{LocalAddress, ObjectName};
use trimtab_core::{Family, Frontend, Protocol};
use trimtab_reconcile::{Action, Drift, Operation, Phase, Plan, Reconciler, Report, execute};

use super::addresses::Addresses;
use super::audit::AuditPart;
use super::failures;
use super::findings::Findings;
use super::lists::Lists;
use super::pace::Pace;
use super::plane::DataPlane;
use crate::allocator;
use crate::health::Health;
use crate::health_check::HealthChecks;
use crate::host::Machine;
use crate::metric;
use crate::node;
use crate::objects::NodeState;
use crate::source::{Arrival, Change, Kind};
use crate::warning::Warnings;

/// Operations in one round: small enough that a round takes some tens of milliseconds.
const ROUND: usize = 4096;
/// Changes taken in before the next round.
const INTAKE: usize = 4096;

/// What the loop needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// Shortest time between two rounds.
    pub min_sync_period: Duration,
    /// The configuration, for what depends on the Node object.
    pub config: Arc<crate::config::Config>,
    /// The machine, for what statistics cost on it.
    pub machine: Machine,
}

/// What the loop shares with the rest of the program.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Health and readiness.
    pub health: Arc<Health>,
    /// Our Node's own pod networks, which the rules may depend on.
    pub pod_networks: watch::Sender<Vec<ipnet::IpNet>>,
    /// What is wrong with objects.
    pub warnings: Arc<Warnings>,
    /// The health-check node ports.
    pub health_checks: Arc<HealthChecks>,
}

/// How far the program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not everything is known yet; the kernel is left alone.
    Listing,
    /// The kernel has been read and is being programmed for the first time.
    Programming,
    /// The kernel has been programmed once.
    Ready,
}

/// The loop and its state.
#[derive(Debug)]
pub struct Sync<D> {
    reconciler: Reconciler,
    plane: D,
    settings: SyncSettings,
    shared: Shared,
    lists: Lists,
    pace: Pace,
    addresses: Addresses,
    epoch: Instant,
    stage: Stage,
    /// How many VIPs were not bound yet when those that are bound another way were last let go of;
    /// zero once that is done.
    unbound: Option<usize>,
    /// When to prepare the host again, and how long to wait if that fails too.
    next_attempt: Option<Instant>,
    pause: Duration,
    /// A list ended, and with it the need for much memory.
    listed: bool,
    next_drain_poll: Option<Instant>,
    /// Virtual servers that are still to be asked for their connections.
    to_ask: Vec<Frontend>,
    pending_since: Option<Instant>,
    triggers: Vec<jiff::Timestamp>,
    drift: Drift,
    findings: Findings,
    told_not_ready: bool,
}

impl<D: DataPlane> Sync<D> {
    /// A loop that has taken nothing in yet.
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
            told_not_ready: false,
        }
    }

    /// Runs until `changes` ends or `stop` says so, and leaves the kernel as it is.
    ///
    /// # Errors
    /// When the kernel cannot be read at the start. A host that cannot be prepared is waited for.
    pub async fn run(
        mut self,
        mut changes: mpsc::Receiver<Arrival>,
        mut audit: mpsc::Receiver<AuditPart>,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<D> {
        loop {
            let wake = self.wake_at();
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
                Some(part) = audit.recv(), if self.stage != Stage::Listing => self.compare(part),
                () = sleep_until(wake), if wake.is_some() => {}
            }
            self.start_programming()?;
            self.advance();
        }
        info!("stopped; the kernel keeps forwarding");
        Ok(self.plane)
    }

    /// When to wake up if nothing arrives.
    fn wake_at(&self) -> Option<Instant> {
        if self.stage == Stage::Listing {
            return self.next_attempt;
        }
        let now = Instant::now();
        if !self.to_ask.is_empty() {
            return Some(now);
        }
        let work = if self.reconciler.is_settled() {
            self.reconciler.next_retry().map(|due| self.epoch + due)
        } else {
            Some(now)
        };
        let round = work.map(|due| self.pace.begin(due));
        [round, self.addresses.next(), self.next_drain_poll].into_iter().flatten().min()
    }

    /// Takes an arrival in; how many changes it had.
    fn take_all(&mut self, arrival: Arrival) -> usize {
        if self.stage != Stage::Listing && self.pending_since.is_none() {
            self.pending_since = Some(arrival.at);
            self.shared.health.queued();
        }
        let count = arrival.changes.len();
        metric::arrived(&arrival.changes);
        for change in arrival.changes {
            self.take(change);
        }
        count
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Begin(kind) => self.lists.begin(kind),
            Change::End(kind) => self.end_of_list(kind),
            Change::Service(decoded) => {
                self.lists.service(&decoded.name);
                self.findings.service(&decoded);
                match decoded.value {
                    Some(service) => self.reconciler.apply_service(service),
                    None => self.reconciler.delete_service(&decoded.name),
                }
            }
            Change::ServiceGone(name) => {
                self.findings.service_gone(&name);
                self.reconciler.delete_service(&name);
            }
            Change::Slice(decoded, changed) => {
                self.lists.slice(&decoded.name);
                self.findings.slice(&decoded, &self.reconciler);
                match decoded.value {
                    Some(slice) => self.reconciler.apply_slice(&slice),
                    None => self.reconciler.delete_slice(&decoded.name),
                }
                if self.stage == Stage::Ready {
                    self.triggers.extend(changed);
                }
            }
            Change::SliceGone(name) => {
                self.findings.slice_gone(&name);
                self.reconciler.delete_slice(&name);
            }
            Change::Node(state) => self.take_node(state),
            Change::NodeWeight(decoded) => {
                self.lists.node_weight(&decoded.name);
                if self.settings.config.node_weights {
                    self.findings.node(&decoded);
                    self.reconciler.set_node_weight(decoded.name.name(), decoded.value);
                }
            }
            Change::NodeWeightGone(name) => {
                self.findings.node_gone(&name);
                self.reconciler.set_node_weight(name.name(), None);
            }
            Change::LocalAddresses(addresses) => {
                self.lists.addresses();
                let addresses = self.addresses.set(addresses, Instant::now());
                self.set_local_addresses(addresses);
            }
        }
    }

    fn take_node(&mut self, state: Option<NodeState>) {
        self.lists.node();
        self.shared.health.set_node(state.as_ref().is_some_and(|state| state.eligible));
        // A Node that is gone leaves everything as it was: the node is still here.
        let Some(state) = state else { return };
        let facts = node::facts(&state, &self.settings.config);
        self.shared.pod_networks.send_if_modified(|networks| {
            let changed = *networks != facts.pod_cidrs;
            networks.clone_from(&facts.pod_cidrs);
            changed
        });
        self.reconciler.apply_node(facts);
        self.node_addresses_changed();
    }

    fn set_local_addresses(&mut self, addresses: Vec<LocalAddress>) {
        self.reconciler.set_local_addresses(addresses);
        self.node_addresses_changed();
    }

    /// VIPs may depend on the node's own addresses.
    fn node_addresses_changed(&mut self) {
        let (primary, local) = self.reconciler.node_addresses();
        if let Err(error) = self.plane.set_node_addresses(primary, local) {
            warn!(error = format!("{error:#}"), "cannot bind VIPs to the node's new addresses");
        }
    }

    fn end_of_list(&mut self, kind: Kind) {
        let seen = self.lists.end(kind);
        self.listed = true;
        self.findings.keep_only(kind, &seen);
        match kind {
            Kind::Services => {
                let gone: Vec<_> = self
                    .reconciler
                    .service_names()
                    .filter(|name| !seen.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.reconciler.delete_service(&name);
                }
            }
            Kind::Slices => {
                let gone: Vec<_> = self
                    .reconciler
                    .slice_names()
                    .filter(|name| !seen.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.reconciler.delete_slice(&name);
                }
            }
            Kind::Node if self.lists.node_is_gone() => self.take_node(None),
            Kind::Node => {}
            Kind::NodeWeights => {
                let weighted =
                    self.reconciler.weighted_nodes().map(|node| ObjectName::new("", node));
                let gone: Vec<_> = weighted.filter(|name| !seen.contains(name)).collect();
                for name in gone {
                    self.reconciler.set_node_weight(name.name(), None);
                }
            }
        }
        debug!(kind = kind.as_str(), "listed");
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
        self.look_at_suspects();
        self.poll_drains();
        let now = Instant::now();
        let retry_due = self.reconciler.next_retry().is_some_and(|due| self.epoch + due <= now);
        if self.pace.allows(now) && (!self.reconciler.is_settled() || retry_due) {
            self.round();
        }
        // Also where a change turned out to be no work, whatever the pace.
        if self.reconciler.is_settled() {
            self.settled();
            self.tell();
        }
    }

    /// Tells others what follows from the objects besides what the kernel holds.
    fn tell(&mut self) {
        for problems in self.reconciler.take_problems() {
            self.findings.claims(problems);
        }
        // A load balancer is not to send anything here before the kernel is ready for it.
        if self.stage == Stage::Ready {
            for (service, wanted) in self.reconciler.take_health_checks() {
                self.shared.health_checks.set(service, wanted);
            }
        }
    }

    /// One round: a plan, carried out. Several follow one another while there is more to do, with
    /// newly arrived changes taken in between.
    fn round(&mut self) {
        let start = Instant::now();
        let plan = self.reconciler.plan(self.now(), ROUND);
        if !plan.is_empty() {
            let report = execute(&plan, &mut self.plane);
            let now = self.now();
            self.reconciler.settle(&plan, &report, now);
            metric::round(&plan, &report, start.elapsed());
            failures::tell(&report.failed);
            for operation in plan.operations() {
                debug!("{}", operation.action);
            }
            self.forget_unserved(&plan, &report);
            self.look_at_suspects();
        }
        self.pace.ended(Instant::now());
        let drains =
            |operation: &Operation| matches!(operation.action, Action::DrainRealServer(..));
        if self.next_drain_poll.is_none() || plan.phase(Phase::Withdraw).iter().any(drains) {
            self.schedule_drain_poll();
        }
    }

    /// Clients that asked before there was a virtual server are tracked as asking nobody.
    fn forget_unserved(&mut self, plan: &Plan, report: &Report) {
        let failed = report.failed.iter().filter_map(|(operation, _)| operation.action.frontend());
        let failed: HashSet<Frontend> = failed.collect();
        let new = |operation: &Operation| match &operation.action {
            Action::AddVirtualServer(server)
                if server.frontend.protocol() == Some(Protocol::Udp)
                    && !failed.contains(&server.frontend) =>
            {
                Some(server.frontend)
            }
            _ => None,
        };
        let frontends: Vec<Frontend> = plan.phase(Phase::Serve).iter().filter_map(new).collect();
        for family in Family::ALL {
            if !frontends.iter().any(|frontend| frontend.family() == family) {
                continue;
            }
            match self.plane.forget_unserved(family, &frontends) {
                Ok(count) => metric::flows_forgotten(family, count),
                Err(error) => {
                    warn!(error = format!("{error:#}"), "cannot forget old {family} UDP flows");
                }
            }
        }
    }

    /// Everything taken in so far is in the kernel.
    fn settled(&mut self) {
        self.retire_other_binding();
        metric::nothing_pending();
        if let Some(since) = self.pending_since.take() {
            self.shared.health.updated();
            metric::settled(since.elapsed(), &self.reconciler);
            let now = jiff::Timestamp::now();
            for changed in self.triggers.drain(..) {
                metric::programming_latency(
                    (now - changed).total(jiff::Unit::Second).unwrap_or(0.0),
                );
            }
        }
        if std::mem::take(&mut self.listed) {
            allocator::give_back();
        }
        self.judge_readiness();
    }

    /// Ready means that the kernel holds what is wanted, but for single Services, each of which has
    /// been told: not most of them, nor those that everything else needs.
    fn judge_readiness(&mut self) {
        let failing = self.reconciler.failing_services();
        let services = self.reconciler.service_count();
        let few = failing <= (services / 10).max(1) && failing < services;
        let ready = failing == 0 || few && !self.reconciler.fails_essentially();
        let was_ready = self.shared.health.is_ready();
        if ready && !was_ready {
            // Only now: until IPVS serves, what kube-proxy left may be what serves.
            match self.plane.remove_leftovers() {
                Ok(removed) => removed.iter().for_each(|removed| info!("removed {removed}")),
                Err(error) => {
                    warn!(error = format!("{error:#}"), "cannot remove what kube-proxy left");
                }
            }
        }
        self.shared.health.set_programmed(ready);
        if ready && !was_ready {
            self.stage = Stage::Ready;
            info!(
                seconds = self.epoch.elapsed().as_secs_f64(),
                retrying = self.reconciler.retrying(),
                "ready: the kernel holds what the objects ask for"
            );
        } else if !ready && (was_ready || !self.told_not_ready) {
            self.told_not_ready = true;
            warn!(failing, services, "not ready: the kernel refuses what many Services need");
        }
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
