//! Several guests at once, each with a part of the tests.

use std::ffi::OsString;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow, ensure};

use super::queue::{Numbered, Queue};
use super::suite::Test;
use super::summary;
use super::transcript::{Report, Transcript};
use crate::guest::{Job, Options, Output, Runner};

/// Runs the tests of a batch in the guest: a shell costs an emulated machine less than a program of
/// ours would.
const DRIVER: &str = include_str!("driver.sh");

/// No test takes so long, even on an emulated processor that others keep busy.
const TEST_SECONDS: u64 = 900;
/// What a guest gets for each test of its batch, besides what the longest may take.
const AVERAGE_SECONDS: u64 = 120;

/// What the tests leave resident in an emulated machine, rounded up; guests that do not use all of
/// their memory do not have it either.
const GUEST_MEMORY: u64 = 2 << 30;

/// What a run of all tests came to.
pub(super) struct Run {
    pub(super) reports: Vec<Report>,
    /// How many guests were started.
    pub(super) guests: usize,
    /// Guests that did not end well.
    pub(super) broken: usize,
}

/// How many guests at once: what was asked for, else one for each processor, as far as the memory
/// reaches.
pub(super) fn size(runner: &Runner, asked: Option<NonZeroUsize>) -> Result<usize> {
    if runner.is_this_host() {
        ensure!(
            asked.is_none_or(|guests| guests.get() == 1),
            "the tests run on this host's own kernel, and there is but one: --guests 1"
        );
        return Ok(1);
    }
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Ok(asked.map_or_else(|| fitting(processors, &meminfo), NonZeroUsize::get))
}

/// One guest for each processor, or fewer where /proc/meminfo tells of too little memory.
fn fitting(processors: usize, meminfo: &str) -> usize {
    let kibibytes = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    let guests = kibibytes.map_or(1, |kibibytes| kibibytes * 1024 / GUEST_MEMORY);
    usize::try_from(guests).unwrap_or(usize::MAX).clamp(1, processors.max(1))
}

/// Runs all of `tests`, in this order, in as many guests at once; each is told when it ends. They find
/// what was built for them in `variables`.
pub(super) fn run(
    runner: &Runner,
    options: &Options,
    tests: &[Test],
    at_once: usize,
    variables: &[(&str, PathBuf)],
) -> Result<Run> {
    let queue = Mutex::new(Queue::new(tests.to_vec(), at_once));
    let so_far = Mutex::new(Run { reports: Vec::new(), guests: 0, broken: 0 });
    let work = |worker: usize| -> Result<()> {
        loop {
            let batch = held(&queue).next_batch();
            if batch.is_empty() {
                return Ok(());
            }
            held(&so_far).guests += 1;
            let report = |report: Report| {
                let line = summary::line(worker, &tests[report.number], &report);
                // In one piece, so that what several guests say does not mix. If nobody reads it,
                // the exit status still tells.
                let _ = std::io::stdout().lock().write_all(line.as_bytes());
                held(&so_far).reports.push(report);
            };
            let mut transcript = Transcript::new(&batch, report);
            let seconds = TEST_SECONDS + AVERAGE_SECONDS * batch.len() as u64;
            let options = options.with_timeout_or(seconds);
            let verdict = job(&batch, variables)
                .and_then(|job| runner.run(&options, &job, Output::To(&mut transcript)));
            transcript.end();
            // If there is no guest, the other workers need not try.
            let verdict = verdict.inspect_err(|_| held(&queue).close())?;
            if verdict.report() != 0 {
                held(&so_far).broken += 1;
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (1..=at_once).map(|worker| scope.spawn(move || work(worker))).collect();
        // All are waited for, whatever comes of the first.
        let ends: Vec<_> = workers.into_iter().map(ScopedJoinHandle::join).collect();
        ends.into_iter()
            .try_for_each(|end| end.unwrap_or_else(|_| Err(anyhow!("a guest's thread panicked"))))
    })
    .context("running a guest")?;
    Ok(so_far.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn job(batch: &[Numbered], variables: &[(&str, PathBuf)]) -> Result<Job> {
    let mut command: Vec<OsString> = ["/bin/sh", "-c", DRIVER, "driver"].map(Into::into).into();
    command.push(TEST_SECONDS.to_string().into());
    for (number, test) in batch {
        command.push(number.to_string().into());
        command.extend(test.words());
    }
    // Tests make errors while they wait for something. With RUST_BACKTRACE set, each would have a
    // stack of its own, which costs an emulated processor dearly; panics still show theirs.
    let job = Job::here(command)?.env("RUST_LIB_BACKTRACE", "0");
    Ok(variables.iter().fold(job, |job, (name, path)| job.env(name, path)))
}

/// A worker that panicked has left nothing half done: what is shared is only added to.
fn held<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_guests_as_processors_if_their_memory_is_there() {
        let available =
            |gibibytes: u64| format!("MemFree: 1 kB\nMemAvailable: {} kB\n", gibibytes << 20);
        assert_eq!(fitting(2, &available(23)), 2);
        assert_eq!(fitting(64, &available(23)), 11);
        assert_eq!(fitting(8, &available(1)), 1, "one in any case");
        assert_eq!(fitting(8, ""), 1);
    }
}
