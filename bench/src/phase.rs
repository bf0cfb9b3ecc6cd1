//! The measurements of one program with one cluster, one after the other.

mod churn;
mod cold_start;
mod event;
mod idle;
mod restart;
mod rolling;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use test_api::Cluster;

use crate::candidate::{Candidate, Running, Setup};
use crate::floor::Floor;
use crate::load::Load;
use crate::node;
use crate::report::Proxy;
use crate::scrape::{self, Traffic};

/// How much of each is measured; 0 leaves a part out.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Single changes.
    pub events: usize,
    /// Changes a second,
    pub churn_rate: u32,
    /// for so many seconds.
    pub churn_seconds: u32,
    /// Seconds in which nothing happens.
    pub idle_seconds: u32,
    /// Endpoints of the Service that is updated as a whole.
    pub rolling_endpoints: usize,
    /// How long a start may take, and the single changes together.
    pub patience: Duration,
    /// Time for what a program does after it is ready.
    pub settle: Duration,
}

/// A running program.
struct Stage<'a> {
    candidate: &'a Candidate,
    load: Load,
    folder: &'a Path,
    setup: Setup,
    extent: &'a Extent,
    floor: Floor,
}

/// Measures `candidate` in a namespace of its own; its files go below `logs`. What could be measured
/// is in the result, also when a phase fails.
///
/// # Errors
/// When there can be no namespace or no API server.
pub fn measure(
    candidate: &Candidate,
    cluster: &Cluster,
    floor: &Floor,
    setup: &Setup,
    extent: &Extent,
    logs: &Path,
) -> Result<Proxy> {
    let name = format!("{}-{}", candidate.name.replace(':', "-"), cluster.services());
    let folder = logs.join(name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    node::fresh(|| {
        let load = Load::start(cluster.clone(), &folder)?;
        let name = candidate.name.clone();
        let mut proxy = Proxy { name, floor: *floor, ..Proxy::default() };
        let mut stage =
            Stage { candidate, load, folder: &folder, setup: setup.clone(), extent, floor: *floor };
        if let Err(error) = stage.run(&mut proxy) {
            eprintln!("{}: {error:#}", candidate.name);
            proxy.failure = Some(format!("{error:#}"));
        }
        Ok(proxy)
    })
}

impl Stage<'_> {
    fn run(&mut self, proxy: &mut Proxy) -> Result<()> {
        let extent = self.extent;
        let (mut running, cold_start) = cold_start::measure(self).context("cold start")?;
        proxy.cold_start = Some(cold_start);
        std::thread::sleep(extent.settle);
        if extent.idle_seconds > 0 {
            proxy.idle = Some(idle::measure(self, &mut running).context("idle")?);
        }
        if extent.events > 0 {
            proxy.event = Some(event::measure(self, &mut running).context("single changes")?);
        }
        // Before the churn: the kernel keeps what that deletes for two minutes, and looks through it
        // for each real server that is added.
        if self.candidate.is_ipvs() && extent.rolling_endpoints > 0 {
            // Wait for draining real servers to be deleted: a new start must find nothing to do.
            churn::in_the_end(self);
            running.terminate()?;
            // Without draining here, so that messages can be counted.
            let (mut without_draining, restart) =
                restart::measure(self, &self.setup.without_draining()).context("new start")?;
            proxy.restart = Some(restart);
            let rolling = rolling::measure(self, &mut without_draining);
            proxy.rolling = Some(rolling.context("rolling update")?);
            without_draining.terminate()?;
            running = restart::measure(self, &self.setup).context("third start")?.0;
        }
        if extent.churn_seconds > 0 {
            proxy.churn = Some(churn::measure(self, &mut running).context("churn")?);
        }
        running.terminate()
    }

    fn start(&self, setup: &Setup) -> Result<Running> {
        self.candidate.start(self.folder, self.load.kubeconfig(), setup)
    }
}

/// The traffic so far, for programs that count it.
fn traffic() -> Option<Traffic> {
    Traffic::of(&scrape::metrics().ok()?)
}

/// The traffic since then.
fn traffic_since(before: Option<Traffic>) -> Option<Traffic> {
    Some(traffic()?.since(before?))
}
