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
use crate::witness::{Outcome, Watcher};

/// Quiet before a change. Of no common measure with the periods of clocks and programs.
const QUIET: Duration = Duration::from_micros(8_317);

pub(super) fn measure(stage: &mut Stage<'_>, running: &mut Running) -> Result<Event> {
    let watcher = Watcher::start(stage.candidate.is_ipvs(), stage.extent.patience)?;
    let traffic_before = traffic();
    let mut own_before = OwnSum::read();
    let mut own = Vec::new();
    let cpu_before = process::cpu(running.pid())?;
    let start = Instant::now();
    let (mut latencies, mut lost) = (Vec::new(), 0);
    for _ in 0..stage.extent.events {
        if start.elapsed() > stage.extent.patience {
            eprintln!("single changes: only {} in the time allowed", latencies.len());
            break;
        }
        thread::sleep(QUIET);
        running.check()?;
        watcher.look_for(stage.load.toggle()?);
        match watcher.answer()? {
            Outcome::HeldAfter(latency) => latencies.push(latency),
            Outcome::NeverHeld => lost += 1,
        }
        let own_after = OwnSum::read();
        own.extend(own_before.zip(own_after).and_then(|(before, after)| after.only_since(before)));
        own_before = own_after;
    }
    Ok(Event {
        latency: Spread::of(latencies).unwrap_or_default(),
        lost,
        own: Spread::of(own),
        traffic: traffic_since(traffic_before),
        cpu: process::cpu(running.pid())? - cpu_before,
    })
}
