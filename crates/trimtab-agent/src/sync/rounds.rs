//! One round: makes a plan and applies it.

use hashbrown::HashSet;
use tokio::time::Instant;
use tracing::{debug, warn};
use trimtab_core::{Family, Frontend, Protocol};
use trimtab_metrics as metric;
use trimtab_reconcile::ports::DataPlane;
use trimtab_reconcile::{Action, Operation, Phase, Plan, Report, execute};

use super::{Stage, SyncLoop};
use crate::{failures, measure};

/// Operations in one round: small enough that a round takes some tens of milliseconds.
const ROUND: usize = 4096;

impl<D: DataPlane> SyncLoop<D> {
    /// One round: makes a plan and applies it. Several follow one another while there is more to
    /// do, with newly arrived changes taken in between.
    pub(super) fn round(&mut self) {
        let start = Instant::now();
        let plan = self.reconciler.plan(self.now(), ROUND);
        if !plan.is_empty() {
            let report = execute(&plan, &mut self.plane);
            let now = self.now();
            self.reconciler.take_report(&plan, &report, now);
            measure::round(&plan, &report, start.elapsed());
            failures::tell(&report.failed);
            for operation in plan.operations() {
                debug!("{}", operation.action);
            }
            self.forget_unserved(&plan, &report);
            // Before that, none has been counted yet.
            if self.stage == Stage::Ready && self.settings.config.traffic.enabled {
                self.shared.owners.tell_made(made(&plan, &report));
            }
            self.reread();
        }
        self.pace.ended(Instant::now());
        let drains =
            |operation: &Operation| matches!(operation.action, Action::DrainRealServer(..));
        if self.next_drain_poll.is_none() || plan.phase(Phase::Withdraw).iter().any(drains) {
            self.schedule_drain_poll();
        }
    }

    /// Conntrack entries older than the virtual server are untranslated: while they exist,
    /// datagrams of their clients bypass IPVS. Delete them.
    fn forget_unserved(&mut self, plan: &Plan, report: &Report) {
        let is_udp = |frontend: &Frontend| frontend.protocol() == Some(Protocol::Udp);
        let frontends: Vec<Frontend> = made(plan, report).into_iter().filter(is_udp).collect();
        for family in Family::ALL {
            if !frontends.iter().any(|frontend| frontend.family() == family) {
                continue;
            }
            match self.plane.forget_unserved(family, &frontends) {
                Ok(count) => metric::flows_forgotten(family, count),
                Err(error) => {
                    warn!(%error, "cannot delete stale {family} UDP conntrack entries");
                }
            }
        }
    }
}

/// The virtual servers that were made.
fn made(plan: &Plan, report: &Report) -> Vec<Frontend> {
    let failed = report.failed.iter().filter_map(|(operation, _)| operation.action.frontend());
    let failed: HashSet<Frontend> = failed.collect();
    let new = |operation: &Operation| match &operation.action {
        Action::AddVirtualServer(server) if !failed.contains(&server.frontend) => {
            Some(server.frontend)
        }
        _ => None,
    };
    plan.phase(Phase::Serve).iter().filter_map(new).collect()
}
