//! Many changes at a steady rate, over all Services.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Stage, traffic, traffic_since};
use crate::candidate::Running;
use crate::process;
use crate::quantile::Spread;
use crate::report::Churn;
use crate::scrape::{self, Own};
use crate::verify;
use crate::witness::{Manner, Outcome, Watcher};

/// When a change counts as lost, at the latest; before, if the endpoint has changed again by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the kernel may take to be exact in the end: draining real servers without connections
/// go within seconds.
const END: Duration = Duration::from_secs(60);

pub(super) fn measure(stage: &mut Stage<'_>, running: &mut Running) -> Result<Churn> {
    let is_ipvs = stage.candidate.is_ipvs();
    let changes = (stage.extent.churn_rate * stage.extent.churn_seconds) as usize;
    let rate = f64::from(stage.extent.churn_rate);
    let distance = u32::try_from(stage.load.most_away()).unwrap_or(u32::MAX);
    let again = Duration::from_secs_f64(f64::from(distance) / rate);
    let watcher = Watcher::start(is_ipvs, PATIENCE.min(again), Manner::NowAndThen)?;
    let (traffic_before, cpu_before) = (traffic(), process::cpu(running.pid())?);
    let before = scrape::metrics().ok();
    let start = Instant::now();
    // The witness looks for one change at a time: with several, it would be late itself.
    let mut is_asked = false;
    let (mut lags, mut lost) = (Vec::new(), 0);
    let mut note = |outcome| match outcome {
        Outcome::HeldAfter(lag) => lags.push(lag),
        Outcome::NeverHeld => lost += 1,
    };
    for number in 0u32.. {
        if number as usize >= changes {
            break;
        }
        let due = Duration::from_secs_f64(f64::from(number) / rate);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            thread::sleep(early);
        }
        let expectation = stage.load.toggle()?;
        if let Some(answer) = watcher.ready_answer()? {
            note(answer);
            is_asked = false;
        }
        if !is_asked {
            watcher.look_for(expectation);
            is_asked = true;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    if is_asked {
        note(watcher.answer()?);
    }
    running.check()?;
    let cpu = process::cpu(running.pid())? - cpu_before;
    let exact = is_ipvs.then(|| in_the_end(stage));
    Ok(Churn {
        changes,
        seconds,
        lag: Spread::of(lags).unwrap_or_default(),
        lost,
        own: before.and_then(|before| Own::between(&before, &scrape::metrics().ok()?)),
        cpu,
        traffic: traffic_since(traffic_before),
        exact,
        memory: process::memory(running.pid())?,
    })
}

/// Waits until the kernel's state is exact; prints the differences if it is not.
pub(super) fn in_the_end(stage: &Stage<'_>) -> bool {
    let start = Instant::now();
    loop {
        match verify::exactly(&stage.load) {
            Ok(()) => return true,
            Err(error) if start.elapsed() > END => {
                eprintln!("{}: not exact in the end: {error:#}", stage.candidate.name);
                return false;
            }
            Err(_) => thread::sleep(Duration::from_secs(2)),
        }
    }
}
