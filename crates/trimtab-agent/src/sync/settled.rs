//! What happens once the kernel holds all changes so far: readiness, metrics, warnings, health
//! checks.

use tracing::{info, warn};
use trimtab_metrics as metric;
use trimtab_reconcile::ports::DataPlane;

use super::{Stage, SyncLoop};
use crate::allocator;

impl<D: DataPlane> SyncLoop<D> {
    /// All changes so far are in the kernel.
    pub(super) fn settled(&mut self) {
        self.retire_other_binding();
        metric::nothing_pending();
        if let Some(since) = self.pending_since.take() {
            self.shared.health.updated();
            let (services, retrying) =
                (self.reconciler.service_count(), self.reconciler.retrying());
            metric::settled(since.elapsed(), services, retrying);
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

    /// Ready means that the kernel holds the desired state except for single Services, each of
    /// which has a warning. If the kernel refuses most Services, or those of the API server or DNS,
    /// the node is not ready.
    fn judge_readiness(&mut self) {
        let failing = self.reconciler.failing_services();
        let services = self.reconciler.service_count();
        let few = failing <= (services / 10).max(1) && failing < services;
        let ready = failing == 0 || few && !self.reconciler.fails_essentially();
        let was_ready = self.shared.health.is_ready();
        if ready && !was_ready {
            // Not earlier: until IPVS serves, kube-proxy's rules may be the ones that serve.
            match self.plane.remove_leftovers() {
                Ok(removed) => removed.iter().for_each(|removed| info!("removed {removed}")),
                Err(error) => {
                    warn!(%error, "cannot remove what kube-proxy left");
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
            warn!(
                failing,
                services,
                "not ready: the kernel refuses objects that many Services \
                need"
            );
        }
    }

    /// Updates everything that follows from the objects besides the kernel: warnings, metrics,
    /// health checks.
    pub(super) fn tell(&mut self) {
        for problems in self.reconciler.take_problems() {
            self.findings.claims(problems);
        }
        // A load balancer must not send traffic here before the kernel is ready for it.
        if self.stage == Stage::Ready {
            for (service, wanted) in self.reconciler.take_health_checks() {
                self.shared.health_checks.set(service, wanted);
            }
        }
    }
}
