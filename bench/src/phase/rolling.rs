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
use crate::witness::Watcher;

/// Between two replacements: a fast rolling update, so that some come together.
const STEP: Duration = Duration::from_millis(2);

pub(super) fn measure(stage: &mut Stage<'_>, running: &mut Running) -> Result<Rolling> {
    let endpoints = stage.extent.rolling_endpoints;
    let watcher = Watcher::start(true, stage.extent.patience)?;
    stage.load.add_rolling(endpoints)?;
    let last = stage.load.rolling_servers().last().copied();
    wait_for(&watcher, last, true, running)?;
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
        ensure!(watcher.answer()?.is_some(), "the last endpoint never went");
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process::cpu(running.pid())? - cpu_before;
    let exact = Some(churn::in_the_end(stage));
    Ok(Rolling { endpoints, seconds, cpu, traffic: traffic_since(traffic_before), exact })
}

fn wait_for(
    watcher: &Watcher,
    server: Option<RealServerKey>,
    serves: bool,
    running: &mut Running,
) -> Result<()> {
    let Some(real_server) = server else { return Ok(()) };
    let frontend = Load::rolling_frontend();
    watcher.look_for(Expectation { frontend, real_server, serves, at: Instant::now() });
    let seen = watcher.answer()?;
    running.check()?;
    ensure!(seen.is_some(), "the Service to be updated never came");
    Ok(())
}
