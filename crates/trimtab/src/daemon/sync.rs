//! The loop that takes changes in and programs the kernel.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use trimtab_core::Frontend;
use trimtab_reconcile::{Drift, Reconciler, execute};

use super::audit::AuditPart;
use super::lists::Lists;
use super::pace::Pace;
use super::plane::DataPlane;
use crate::health::Health;
use crate::metric;
use crate::node;
use crate::objects::{Decoded, FieldProblem, NodeState, Severity};
use crate::plan::describe;
use crate::source::{Change, Kind};

/// Operations in one round: small enough that a round takes some tens of milliseconds.
const ROUND: usize = 4096;
/// Changes taken in before the next round.
const INTAKE: usize = 4096;
/// How often real servers that drain are asked for their connections.
const DRAIN_POLL: Duration = Duration::from_secs(5);

/// What the loop needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct SyncSettings {
    /// Shortest time between two rounds.
    pub min_sync_period: Duration,
    /// The configuration, for what depends on the Node object.
    pub config: Arc<crate::config::Config>,
}

/// What the loop shares with the rest of the program.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Health and readiness.
    pub health: Arc<Health>,
    /// Our Node's own pod networks, which the rules may depend on.
    pub pod_networks: watch::Sender<Vec<ipnet::IpNet>>,
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
    epoch: Instant,
    programming: bool,
    programmed_once: bool,
    next_drain_poll: Option<Instant>,
    pending_since: Option<Instant>,
    triggers: Vec<jiff::Timestamp>,
    drift: Drift,
}

impl<D: DataPlane> Sync<D> {
    /// A loop that has taken nothing in yet.
    pub fn new(reconciler: Reconciler, plane: D, settings: SyncSettings, shared: Shared) -> Self {
        Self {
            reconciler,
            plane,
            pace: Pace::new(settings.min_sync_period),
            settings,
            shared,
            lists: Lists::default(),
            epoch: Instant::now(),
            programming: false,
            programmed_once: false,
            next_drain_poll: None,
            pending_since: None,
            triggers: Vec::new(),
            drift: Drift::default(),
        }
    }

    /// Runs until `changes` ends or `stop` says so, and leaves the kernel as it is.
    ///
    /// # Errors
    /// When the host cannot be prepared, or the kernel not be read at the start.
    pub async fn run(
        mut self,
        mut changes: mpsc::Receiver<Change>,
        mut audit: mpsc::Receiver<AuditPart>,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<D> {
        loop {
            let wake = self.wake_at();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                change = changes.recv() => {
                    let Some(change) = change else { break };
                    self.take(change);
                    for _ in 1..INTAKE {
                        let Ok(change) = changes.try_recv() else { break };
                        self.take(change);
                    }
                }
                Some(part) = audit.recv(), if self.programming => self.compare(part),
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
        if !self.programming {
            return None;
        }
        let now = Instant::now();
        let round = (!self.reconciler.is_settled()).then(|| self.pace.earliest(now).unwrap_or(now));
        let retry = self.reconciler.next_retry().map(|due| self.epoch + due);
        [round, retry, self.next_drain_poll].into_iter().flatten().min()
    }

    fn take(&mut self, change: Change) {
        if self.programming && self.pending_since.is_none() {
            self.pending_since = Some(Instant::now());
            self.shared.health.queued();
        }
        match change {
            Change::Begin(kind) => self.lists.begin(kind),
            Change::End(kind) => self.end_of_list(kind),
            Change::Service(decoded) => {
                metric::service_change();
                self.lists.service(&decoded.name);
                warn_of("Service", &decoded);
                match decoded.value {
                    Some(service) => self.reconciler.apply_service(service),
                    None => self.reconciler.delete_service(&decoded.name),
                }
            }
            Change::ServiceGone(name) => {
                metric::service_change();
                self.reconciler.delete_service(&name);
            }
            Change::Slice(decoded, changed) => {
                metric::slice_change();
                self.lists.slice(&decoded.name);
                warn_of("EndpointSlice", &decoded);
                match decoded.value {
                    Some(slice) => self.reconciler.apply_slice(&slice),
                    None => self.reconciler.delete_slice(&decoded.name),
                }
                if self.programmed_once {
                    self.triggers.extend(changed);
                }
            }
            Change::SliceGone(name) => {
                metric::slice_change();
                self.reconciler.delete_slice(&name);
            }
            Change::Node(state) => self.take_node(state),
            Change::LocalAddresses(addresses) => {
                self.lists.addresses();
                self.reconciler.set_local_addresses(addresses);
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
    }

    fn end_of_list(&mut self, kind: Kind) {
        let seen = self.lists.end(kind);
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
        }
        debug!(kind = kind.as_str(), "listed");
    }

    /// Once everything has been listed: prepares the host, takes over what the kernel holds.
    fn start_programming(&mut self) -> anyhow::Result<()> {
        if self.programming || !self.lists.are_complete() {
            return Ok(());
        }
        let start = Instant::now();
        self.plane.prepare()?;
        self.adopt()?;
        info!(
            seconds = start.elapsed().as_secs_f64(),
            services = self.reconciler.backlog(),
            "everything is listed and the kernel is read: programming starts"
        );
        self.pending_since = Some(Instant::now());
        self.shared.health.queued();
        self.programming = true;
        Ok(())
    }

    /// Reads all that is ours. Sets come first: they say which virtual servers are.
    fn adopt(&mut self) -> anyhow::Result<()> {
        for set in trimtab_core::SetId::all() {
            let elements = self.plane.elements(set)?;
            self.reconciler.observe_elements(set, elements);
        }
        let addresses = self.plane.addresses()?;
        self.reconciler.observe_addresses(addresses);
        for server in self.plane.virtual_servers()? {
            self.reconciler.observe_virtual_server(server.frontend, Some(&server));
        }
        let ours: Vec<Frontend> = self.reconciler.known_frontends().collect();
        for frontend in ours {
            let servers = self.plane.real_servers(&frontend)?;
            self.reconciler.observe_real_servers(frontend, servers);
        }
        Ok(())
    }

    /// Does what is due now.
    fn advance(&mut self) {
        if !self.programming {
            return;
        }
        self.look_at_suspects();
        self.poll_drains();
        let now = Instant::now();
        if self.pace.earliest(now).is_some() {
            return;
        }
        let retry_due = self.reconciler.next_retry().is_some_and(|due| self.epoch + due <= now);
        if !self.reconciler.is_settled() || retry_due {
            self.round();
        }
        if self.reconciler.is_settled() {
            self.settled();
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
            for (operation, why) in &report.failed {
                warn!(error = %why, "cannot {}", operation.action);
            }
            for operation in plan.operations() {
                debug!("{}", operation.action);
            }
            self.look_at_suspects();
        }
        for problem in self.reconciler.take_problems() {
            metric::problem(problem.reason.as_str());
            warn!("{}", describe(&problem));
        }
        self.pace.ended(Instant::now());
        if self.next_drain_poll.is_none() && self.reconciler.draining().next().is_some() {
            self.next_drain_poll = Some(Instant::now() + DRAIN_POLL);
        }
    }

    /// Everything taken in so far is in the kernel.
    fn settled(&mut self) {
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
        if !self.programmed_once {
            self.programmed_once = true;
            self.shared.health.set_ready();
            info!(
                seconds = self.epoch.elapsed().as_secs_f64(),
                retrying = self.reconciler.retrying(),
                "ready: the kernel holds what the objects ask for"
            );
        }
    }

    fn look_at_suspects(&mut self) {
        for frontend in self.reconciler.take_suspects() {
            match self.read(&frontend) {
                Ok(drift) => self.drift += drift,
                Err(error) => {
                    error!(error = format!("{error:#}"), "cannot read virtual server {frontend}");
                }
            }
        }
    }

    fn read(&mut self, frontend: &Frontend) -> anyhow::Result<Drift> {
        let server = self.plane.virtual_server(frontend)?;
        let real_servers = match &server {
            Some(_) => self.plane.real_servers(frontend)?,
            None => Vec::new(),
        };
        let mut drift = self.reconciler.observe_virtual_server(*frontend, server.as_ref());
        drift += self.reconciler.observe_real_servers(*frontend, real_servers);
        Ok(drift)
    }

    /// Takes a part of a comparison in.
    fn compare(&mut self, part: AuditPart) {
        match part {
            AuditPart::Begin => {
                self.reconciler.begin_audit();
                self.drift = Drift::default();
            }
            AuditPart::Elements(set, elements) => {
                self.drift += self.reconciler.observe_elements(set, elements);
            }
            AuditPart::Addresses(addresses) => {
                self.drift += self.reconciler.observe_addresses(addresses);
            }
            AuditPart::VirtualServers(servers) => self.reconciler.audit_virtual_servers(&servers),
            AuditPart::EndOfVirtualServers => self.reconciler.end_audit_of_virtual_servers(),
            AuditPart::RealServers(all) => {
                for (frontend, servers) in all {
                    self.reconciler.audit_real_servers(frontend, servers);
                }
            }
            AuditPart::End => {
                metric::audited(&self.drift, &self.reconciler);
                let drift = std::mem::take(&mut self.drift);
                if !drift.is_none() {
                    warn!(
                        virtual_servers = drift.virtual_servers,
                        real_servers = drift.real_servers,
                        elements = drift.elements,
                        addresses = drift.addresses,
                        "the kernel was not as left: repaired"
                    );
                }
            }
        }
    }

    fn poll_drains(&mut self) {
        if self.next_drain_poll.is_none_or(|due| due > Instant::now()) {
            return;
        }
        let now = self.now();
        let draining: Vec<Frontend> = self.reconciler.draining().collect();
        for frontend in &draining {
            match self.plane.connections(frontend) {
                Ok(connections) => self.reconciler.observe_connections(*frontend, connections, now),
                Err(error) => {
                    warn!(error = format!("{error:#}"), "cannot read connections of {frontend}");
                }
            }
        }
        let more = self.reconciler.draining().next().is_some();
        self.next_drain_poll = more.then(|| Instant::now() + DRAIN_POLL);
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

/// Says what of an object could not be used; what is none of a service proxy's business is not said.
fn warn_of<T>(kind: &str, decoded: &Decoded<T>) {
    let worth = |problem: &&FieldProblem| problem.severity != Severity::Skipped;
    for problem in decoded.problems.iter().filter(worth) {
        metric::problem("InvalidValue");
        warn!(kind, name = %decoded.name, "{problem}");
    }
}
