//! Nothing happens, but for comparisons with the kernel.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Stage;
use crate::candidate::Running;
use crate::process;
use crate::report::Idle;
use crate::scrape;

pub(super) fn measure(stage: &Stage<'_>, running: &mut Running) -> Result<Idle> {
    let audits = || scrape::metrics().ok()?.sum("trimtab_audits_total", "");
    let audits_before = audits().unwrap_or(0.0);
    let before = process::cpu(running.pid())?;
    let start = Instant::now();
    thread::sleep(Duration::from_secs(stage.extent.idle_seconds.into()));
    running.check()?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = process::cpu(running.pid())? - before;
    Ok(Idle {
        seconds,
        cpu,
        percent: 100.0 * cpu.total() / seconds,
        audits: audits().unwrap_or(0.0) - audits_before,
        memory: process::memory(running.pid())?,
    })
}
