//! Reads what IPVS counts, on a socket of its own.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use trimtab_core::{Counters, Frontend};
use trimtab_ipvs::{Client, Stats};
use trimtab_reconcile::ports::{Metering, PortError, RealServerCounters};

use super::connection_table::module_options;
use super::ipvs::Ipvs;
use crate::error::Error;

/// Reads the counters of virtual and real servers.
#[derive(Debug)]
pub struct KernelMeter(Ipvs);

impl super::Linux {
    /// A reader of counters, on a socket of its own.
    ///
    /// # Errors
    /// When IPVS cannot be reached.
    pub fn meter(&self) -> Result<KernelMeter, Error> {
        Ok(KernelMeter(Ipvs::connect(module_options(&self.options))?))
    }
}

impl Metering for KernelMeter {
    fn virtual_server_counters(&mut self) -> Result<Vec<(Frontend, Counters)>, PortError> {
        let found = self.0.ask(Client::virtual_server_stats)?;
        Ok(found.into_iter().map(|(frontend, stats)| (frontend, counters(&stats))).collect())
    }

    fn real_server_counters(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Vec<RealServerCounters>, PortError> {
        let found = self.0.ask(|ipvs| ipvs.real_servers(frontend))?;
        Ok(found
            .into_iter()
            .map(|observed| RealServerCounters {
                key: observed.server.key,
                counters: counters(&observed.stats),
                active: observed.active_connections,
                inactive: observed.inactive_connections,
            })
            .collect())
    }

    fn cpu_time(&self) -> Duration {
        thread_cpu_time()
    }
}

/// The processor time of the calling thread.
pub(super) fn thread_cpu_time() -> Duration {
    // Uses the C library: rustix requires a vDSO, which not every Linux has.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from).unwrap_or_default()
}

pub(super) const fn counters(stats: &Stats) -> Counters {
    Counters {
        connections: stats.connections,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
    }
}
