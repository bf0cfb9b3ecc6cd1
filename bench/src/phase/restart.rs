//! A new start on a kernel that holds everything.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Stage, traffic};
use crate::candidate::{Kind, Running, Setup};
use crate::process;
use crate::report::Restart;
use crate::scrape;
use crate::witness::Witness;

/// Where health is served.
const HEALTH: u16 = 10256;

pub(super) fn measure(stage: &Stage<'_>, setup: &Setup) -> Result<(Running, Restart)> {
    let mut running = stage.start(setup)?;
    let is_trimtab = matches!(stage.candidate.kind, Kind::Trimtab(_));
    if is_trimtab {
        while !scrape::get(HEALTH, "/readyz").is_ok_and(|(status, _)| status == 200) {
            running.check()?;
            ensure!(running.begin.elapsed() < stage.extent.patience, "not ready");
            thread::sleep(Duration::from_millis(5));
        }
    } else {
        let (begin, patience) = (running.begin, stage.extent.patience);
        let is_alive = || running.check();
        Witness::OwnWord.wait_for_cluster(&stage.load, begin, patience, is_alive)?;
    }
    let restart = Restart {
        seconds: running.begin.elapsed().as_secs_f64(),
        cpu: process::cpu(running.pid())?,
        // A counter that is missing is 0.
        traffic: is_trimtab.then(|| traffic().unwrap_or_default()),
        memory: process::memory(running.pid())?,
    };
    thread::sleep(stage.extent.settle);
    Ok((running, restart))
}
