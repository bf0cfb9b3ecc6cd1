//! Single changes: one endpoint becomes ready or not, in one Service of all, after quiet.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Stage, traffic, traffic_since};
use crate::candidate::Running;
use crate::process;
use crate::quantile::Spread;
use crate::report::Event;
use crate::scrape::OwnSum;
use crate::witness::{Manner, Outcome, Watcher};

/// The quiet time before a change. It has no common divisor with the periods of clocks and
/// programs.
const QUIET: Duration = Duration::from_micros(8_317);

pub(super) fn measure(stage: &mut Stage<'_>, running: &mut Running) -> Result<Event> {
    let is_ipvs = stage.candidate.is_ipvs();
    let watcher = Watcher::start(is_ipvs, stage.extent.patience, Manner::AtIdle)?;
    let traffic_before = traffic();
    let cpu_before = process::cpu(running.pid())?;
    let start = Instant::now();
    let (mut latencies, mut lost) = (Vec::new(), 0);
    for _ in 0..stage.extent.events {
        if start.elapsed() > stage.extent.patience {
            eprintln!("single changes: only {} in the time allowed", latencies.len());
            break;
        }
        match change(stage, running, &watcher)? {
            Outcome::HeldAfter(latency) => latencies.push(latency),
            Outcome::NeverHeld => lost += 1,
        }
    }
    let traffic = traffic_since(traffic_before);
    let cpu = process::cpu(running.pid())? - cpu_before;
    Ok(Event {
        latency: Spread::of(latencies).unwrap_or_default(),
        lost,
        own: own_times(stage, running, &watcher)?,
        traffic,
        cpu,
    })
}

fn change(stage: &mut Stage<'_>, running: &mut Running, watcher: &Watcher) -> Result<Outcome> {
    thread::sleep(QUIET);
    running.check()?;
    watcher.look_for(stage.load.toggle()?);
    watcher.answer()
}

/// As many changes again, and after each of them the program is asked how long it took.
fn own_times(
    stage: &mut Stage<'_>,
    running: &mut Running,
    watcher: &Watcher,
) -> Result<Option<Spread>> {
    let start = Instant::now();
    let mut own = Vec::new();
    let mut before = OwnSum::read();
    for _ in 0..stage.extent.events {
        if before.is_none() || start.elapsed() > stage.extent.patience {
            break;
        }
        change(stage, running, watcher)?;
        let after = OwnSum::read();
        own.extend(before.zip(after).and_then(|(before, after)| after.only_since(before)));
        before = after;
    }
    Ok(Spread::of(own))
}
