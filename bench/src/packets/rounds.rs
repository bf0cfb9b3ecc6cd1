//! All measurements, one after the other: in each round every way of every stage has its turn.

use std::time::Duration;

use anyhow::{Context, Result};

use super::proof;
use super::ratio::median;
use super::report::{Round, Series};
use super::stage::Stage;
use super::target::Path;
use super::turn::{self, Amount, Turn};
use crate::quantile::Spread;

/// Measures every way of every stage `rounds` times, after a round that warms them up. In the end
/// every program ends.
///
/// # Errors
/// When anything is not answered, answered by a wrong pod, or did not go through IPVS.
pub fn measure(mut stages: Vec<Stage>, amount: &Amount, rounds: usize) -> Result<Vec<Series>> {
    std::thread::sleep(proof::ESTIMATION);
    for stage in &mut stages {
        stage.remember_counts()?;
    }
    let mut records: Vec<Record> = stages
        .iter()
        .enumerate()
        .flat_map(|(at, stage)| (0..stage.targets.len()).map(move |way| (at, way)))
        .map(|(stage, way)| Record { stage, way, turns: Vec::new() })
        .collect();
    let count = records.len();
    for round in 0..=rounds {
        for step in 0..count {
            let record = &mut records[place(round, step, count)];
            let Stage { program, services, targets, network, .. } = &mut stages[record.stage];
            let target = &targets[record.way];
            let taken = turn::take(network, target, amount);
            record.turns.push(taken.with_context(|| {
                let program = program.as_deref().unwrap_or("no proxy");
                format!("{program} with {services} Services, {:?}", target.path())
            })?);
        }
        eprintln!("round {round} of {rounds}");
    }
    for record in &records {
        let stage = &mut stages[record.stage];
        if stage.targets[record.way].path() == Path::Vip {
            let (program, services) = (stage.program.clone().unwrap_or_default(), stage.services);
            stage
                .prove(&record.answered())
                .with_context(|| format!("{program} with {services} Services"))?;
        }
    }
    let series = records.iter().map(|record| record.series(&stages[record.stage])).collect();
    stages.into_iter().try_for_each(Stage::end)?;
    series
}

/// Whose turn it is: in turn, forth in one round and back in the next, so that no way is always
/// measured after the same other.
fn place(round: usize, step: usize, count: usize) -> usize {
    let step = if round.is_multiple_of(2) { step } else { count - 1 - step };
    (step + round / 2) % count
}

/// All turns of one way.
struct Record {
    stage: usize,
    way: usize,
    /// The first is the one that warms up.
    turns: Vec<Turn>,
}

impl Record {
    /// Connections that each pod has answered on, in all turns.
    fn answered(&self) -> Vec<u64> {
        let pods = self.turns.first().map_or(0, |turn| turn.answered.len());
        (0..pods).map(|pod| self.turns.iter().map(|turn| turn.answered[pod]).sum()).collect()
    }

    fn series(&self, stage: &Stage) -> Result<Series> {
        let measured = &self.turns[1..];
        let all = |times: fn(&Turn) -> &Vec<Duration>| {
            Spread::of(measured.iter().flat_map(times).copied().collect())
                .context("nothing was measured")
        };
        let middle = |times: &[Duration]| {
            median(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
                .context("nothing was measured")
        };
        let round = |turn: &Turn| {
            anyhow::Ok(Round {
                rate: turn.rate,
                new: middle(&turn.new)?,
                kept: middle(&turn.kept)?,
            })
        };
        Ok(Series {
            program: stage.program.clone(),
            services: stage.services,
            path: stage.targets[self.way].path(),
            rounds: measured.iter().map(round).collect::<Result<_>>()?,
            new: all(|turn| &turn.new)?,
            kept: all(|turn| &turn.kept)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everyone_has_one_turn_in_a_round_and_the_order_differs() {
        let order = |round| (0..5).map(|step| place(round, step, 5)).collect::<Vec<_>>();
        for round in 0..10 {
            assert_eq!(order(round).iter().collect::<BTreeSet<_>>().len(), 5);
        }
        assert_eq!(order(0), [0, 1, 2, 3, 4]);
        assert_eq!(order(1), [4, 3, 2, 1, 0]);
        assert_eq!(order(2), [1, 2, 3, 4, 0]);
    }
}
