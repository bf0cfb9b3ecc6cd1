//! Startup: from complete lists to an adopted kernel.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Stage, SyncLoop};
use crate::kernel_memory::{is_much, statistics_bytes};
use trimtab_metrics as metric;
use trimtab_reconcile::ports::{DataPlane, PortError, adopt};

/// If startup has to wait, for example for a lock, a missing program or the Node's podCIDRs, it
/// retries after this time, and then with exponential back-off.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl<D: DataPlane> SyncLoop<D> {
    /// Once everything has been listed: prepares the host and adopts what the kernel holds.
    pub(super) fn start_programming(&mut self) -> Result<(), PortError> {
        if self.stage != Stage::Listing
            || !self.lists.are_complete(self.settings.config.node_weights)
        {
            return Ok(());
        }
        let start = Instant::now();
        if self.next_attempt.is_some_and(|at| at > start) {
            return Ok(());
        }
        if let Err(error) = self.plane.prepare() {
            warn!(
                %error,
                again_in = ?self.pause,
                "this node cannot be programmed yet: waiting"
            );
            self.next_attempt = Some(start + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return Ok(());
        }
        self.next_attempt = None;
        adopt(&mut self.reconciler, &mut self.plane)?;
        info!(
            seconds = start.elapsed().as_secs_f64(),
            services = self.reconciler.backlog(),
            "everything is listed and the kernel is read: programming starts"
        );
        self.weigh_statistics();
        self.pending_since = Some(Instant::now());
        self.shared.health.queued();
        self.stage = Stage::Programming;
        self.findings.all_is_listed(&self.reconciler);
        Ok(())
    }

    /// Warns about kernel memory before it is allocated.
    pub(super) fn weigh_statistics(&self) {
        let (virtual_servers, real_servers) = self.reconciler.server_counts();
        let machine = self.settings.machine;
        let bytes = statistics_bytes(virtual_servers, real_servers, machine.possible_cpus);
        metric::servers(virtual_servers, real_servers, bytes);
        if machine.memory.is_some_and(|memory| is_much(bytes, memory)) {
            warn!(
                virtual_servers,
                real_servers,
                possible_cpus = machine.possible_cpus,
                mebibytes = bytes >> 20,
                "the kernel will need much memory for IPVS statistics: a NodePort Service has a \
                 virtual server for each node address; nodePortAddresses limits these addresses"
            );
        }
    }

    /// Removes VIPs that an earlier configuration bound the other way, except those that are not
    /// bound this way yet: a VIP that cannot be served does not stop others from moving.
    pub(super) fn retire_other_binding(&mut self) {
        if self.unbound == Some(0) {
            return;
        }
        let keep: HashSet<IpAddr> = self.reconciler.unbound().collect();
        if self.unbound.replace(keep.len()).is_some_and(|before| before <= keep.len()) {
            return;
        }
        match self.plane.retire_other_binding(&keep) {
            Ok(0) => {}
            Ok(vips) => info!(vips, "removed VIPs that the previous vipBinding had bound"),
            Err(error) => {
                warn!(
                    %error,
                    "cannot remove VIPs that the previous vipBinding had bound"
                );
            }
        }
    }
}
