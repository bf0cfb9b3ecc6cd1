//! A new start on a kernel that holds everything, without draining.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Stage, traffic};
use crate::candidate::{Kind, Running};
use crate::process;
use crate::report::Restart;
use crate::scrape;

/// Where health is served.
const HEALTH: u16 = 10256;

/// Also starts programs that do not say when they are ready; then there is nothing to report.
pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(Running, Option<Restart>)> {
    // From here on, what leaves goes at once, so that messages can be counted.
    if !stage.setup.is_without_draining() {
        stage.setup.trimtab.push_str("\ndrainTimeout: 0s");
    }
    let mut running = stage.start()?;
    if !matches!(stage.candidate.kind, Kind::Trimtab(_)) {
        thread::sleep(stage.extent.settle);
        return Ok((running, None));
    }
    loop {
        running.check()?;
        ensure!(running.begin.elapsed() < stage.extent.patience, "not ready");
        if scrape::get(HEALTH, "/readyz").is_ok_and(|(status, _)| status == 200) {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let restart = Restart {
        seconds: running.begin.elapsed().as_secs_f64(),
        cpu: process::cpu(running.pid())?,
        traffic: traffic().or_else(|| Some(scrape::Traffic::default())),
        memory: process::memory(running.pid())?,
    };
    thread::sleep(stage.extent.settle);
    Ok((running, Some(restart)))
}
