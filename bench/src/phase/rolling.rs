//! A Service of which every endpoint is replaced.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use trimtab_core::RealServerKey;

use super::{Stage, churn, traffic, traffic_since};
use crate::candidate::Running;
use crate::load::{Expectation, Load};
use crate::process;
use crate::report::Rolling;
use crate::witness::{Manner, Outcome, Watcher};

/// Between two replacements: a fast rolling update, so that some come together.
const STEP: Duration = Duration::from_millis(2);

pub(super) fn measure(stage: &mut Stage<'_>, running: &mut Running) -> Result<Rolling> {
    let endpoints = stage.extent.rolling_endpoints;
    let watcher = Watcher::start(true, stage.extent.patience, Manner::NowAndThen)?;
    stage.load.add_rolling(endpoints)?;
    let last = stage.load.rolling_servers().last().copied();
    if let Some(last) = last {
        wait_for(&watcher, last, running)?;
    }
    // Let the rest of that Service arrive, too.
    thread::sleep(stage.extent.settle);

    let (traffic_before, cpu_before) = (traffic(), process::cpu(running.pid())?);
    let start = Instant::now();
    let mut expectation = None;
    for number in 0..endpoints {
        expectation = Some(stage.load.replace(number)?);
        thread::sleep(STEP);
    }
    if let Some(expectation) = expectation {
        watcher.look_for(expectation);
        ensure!(watcher.answer()? != Outcome::NeverHeld, "the last endpoint never went");
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process::cpu(running.pid())? - cpu_before;
    let exact = Some(churn::in_the_end(stage));
    Ok(Rolling { endpoints, seconds, cpu, traffic: traffic_since(traffic_before), exact })
}

fn wait_for(watcher: &Watcher, real_server: RealServerKey, running: &mut Running) -> Result<()> {
    let frontend = Load::rolling_frontend();
    watcher.look_for(Expectation { frontend, real_server, serves: true, at: Instant::now() });
    let outcome = watcher.answer()?;
    running.check()?;
    ensure!(outcome != Outcome::NeverHeld, "the Service to be updated never came");
    Ok(())
}
