//! From the start of the process until the kernel holds everything, seen from outside.

use std::thread;

use anyhow::{Result, anyhow};

use super::{Stage, traffic};
use crate::candidate::Running;
use crate::load::API_THREAD;
use crate::process;
use crate::report::ColdStart;
use crate::witness::{Witness, be_idle};

pub(super) fn measure(stage: &Stage<'_>) -> Result<(Running, ColdStart)> {
    let api_before = process::thread_cpu(API_THREAD)?;
    let is_ipvs = stage.candidate.is_ipvs();
    let (running, cold_start) = thread::scope(|scope| {
        let watching = scope.spawn(|| -> Result<_> {
            // The module is loaded, and processes of our own are started, before the clock runs.
            let mut witness = Witness::open(is_ipvs)?;
            be_idle()?;
            let forks_before = process::forks()?;
            let mut running = stage.start(&stage.setup)?;
            let begin = running.begin;
            let patience = stage.extent.patience;
            let end = witness.wait_for_cluster(&stage.load, begin, patience, || running.check())?;
            let seconds = (end - begin).as_secs_f64();
            Ok((
                ColdStart {
                    seconds,
                    ratio: seconds / stage.floor.seconds.max(1e-9),
                    page_faults: process::page_faults(running.pid())?,
                    cpu: process::cpu(running.pid())?,
                    api_cpu: process::thread_cpu(API_THREAD)? - api_before,
                    traffic: traffic(),
                    forks: process::forks()? - forks_before,
                    memory: process::memory(running.pid())?,
                },
                running,
            ))
        });
        let (cold_start, running) =
            watching.join().map_err(|_| anyhow!("the witness panicked"))??;
        anyhow::Ok((running, cold_start))
    })?;
    Ok((running, cold_start))
}
