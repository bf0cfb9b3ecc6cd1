//! The threads and tasks that the program consists of. If one ends, the program exits: a node whose
//! loop has died while its probes still answer is worse than a restart.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Starts parts, and is notified when one ends.
#[derive(Clone, Debug)]
pub(super) struct Parts(UnboundedSender<Ended>);

/// A part has ended.
#[derive(Debug)]
pub(super) struct Ended {
    part: &'static str,
    outcome: anyhow::Result<()>,
}

impl Ended {
    /// The error with which the program exits if the part was not told to end.
    pub(super) fn into_error(self) -> anyhow::Error {
        let part = self.part;
        match self.outcome {
            Ok(()) => anyhow!("{part} ended unexpectedly"),
            Err(error) => error.context(format!("{part} failed")),
        }
    }

    /// The outcome, if it is this part.
    pub(super) fn outcome_of(self, part: &str) -> Option<anyhow::Result<()>> {
        (self.part == part).then_some(self.outcome)
    }
}

impl Parts {
    pub(super) fn new() -> (Self, UnboundedReceiver<Ended>) {
        let (sender, ended) = mpsc::unbounded_channel();
        (Self(sender), ended)
    }

    /// Starts a thread.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub(super) fn thread(
        &self,
        part: &'static str,
        work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<JoinHandle<()>> {
        let ended = self.0.clone();
        let run = move || {
            // What a panic leaves inconsistent is dropped with the closure; nothing else uses it.
            let outcome = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", words(&*panic))));
            // The receiver is gone if the program is already exiting.
            let _ = ended.send(Ended { part, outcome });
        };
        let named = thread::Builder::new().name(part.to_owned());
        named.spawn(run).with_context(|| format!("cannot start the thread {part}"))
    }

    /// Starts a task.
    pub(super) fn task(
        &self,
        part: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let ended = self.0.clone();
        let work = tokio::spawn(work);
        tokio::spawn(async move {
            let outcome = work.await.unwrap_or_else(|error| Err(error.into()));
            let _ = ended.send(Ended { part, outcome });
        });
    }
}

/// Waits for the program's end. One that it is told of is orderly: `stop` asks the parts to end, and
/// what comes of `last` is what comes of the program. Any part that ends before that makes it fail.
///
/// # Errors
/// Why the program fails.
pub(super) async fn until_end(
    ended: &mut UnboundedReceiver<Ended>,
    last: &str,
    told: impl Future<Output = anyhow::Result<()>>,
    stop: impl FnOnce(),
) -> anyhow::Result<()> {
    tokio::select! {
        told = told => told?,
        Some(part) = ended.recv() => return Err(part.into_error()),
    }
    stop();
    while let Some(part) = ended.recv().await {
        // Others may end with it.
        if let Some(outcome) = part.outcome_of(last) {
            return outcome;
        }
    }
    Ok(())
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, ExitCode};

    use super::*;
    use crate::cli::status;

    /// Says to this test, when it runs as a program of its own, which part is to panic.
    const PART: &str = "TRIMTAB_TEST_PART";

    /// A program one of whose parts panics, as soon as it has begun; the others go on.
    fn program(part: &str) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (parts, mut ended) = Parts::new();
            parts.thread("sync", || {
                loop {
                    thread::park();
                }
            })?;
            parts.task("probes", std::future::pending());
            match part {
                "thread" => drop(parts.thread("audit", || panic!("out of luck"))?),
                "task" => parts.task("Events", async { panic!("out of luck") }),
                other => anyhow::bail!("no such part: {other}"),
            }
            until_end(&mut ended, "sync", std::future::pending(), || ()).await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    #[test]
    fn a_panic_of_a_thread_or_task_is_the_programs_end_with_a_status_that_says_so() {
        if let Ok(part) = std::env::var(PART) {
            let failed = status(program(&part)) == ExitCode::FAILURE;
            std::process::exit(i32::from(failed));
        }
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = "a_panic_of_a_thread_or_task_is_the_programs_end_with_a_status_that_says_so";
        for (part, said) in [
            ("thread", "trimtab: audit failed: panicked: out of luck\n"),
            ("task", "trimtab: Events failed: "),
        ] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", &format!("{module}::{name}")])
                .env(PART, part)
                .output()
                .unwrap();
            let words = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{part}: {words}");
            assert!(words.contains(said), "{part}: {words}");
        }
    }

    #[tokio::test]
    async fn an_end_that_the_program_is_told_of_is_the_loops() {
        let (parts, mut ended) = Parts::new();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        parts.task("sync", async {
            stopped.await?;
            Err(anyhow!("the kernel cannot be read"))
        });
        let told = async { Ok(()) };
        let stop = || stop.send(()).unwrap();
        let outcome = until_end(&mut ended, "sync", told, stop).await;
        assert_eq!(outcome.unwrap_err().to_string(), "the kernel cannot be read");
    }

    #[tokio::test]
    async fn the_end_of_any_part_is_an_error_that_says_which_and_why() {
        let (parts, mut ended) = Parts::new();
        let mut next = async || format!("{:#}", ended.recv().await.unwrap().into_error());
        parts.thread("sync", || panic!("out of {}", "luck")).unwrap();
        assert_eq!(next().await, "sync failed: panicked: out of luck");
        parts.thread("audit", || Ok(())).unwrap();
        assert_eq!(next().await, "audit ended unexpectedly");
        parts.task("probes", async { Err(anyhow!("the port is taken")) });
        assert_eq!(next().await, "probes failed: the port is taken");
        parts.task("addresses", async { panic!("no more") });
        let words = next().await;
        assert!(words.starts_with("addresses failed: ") && words.contains("panicked"), "{words}");
    }
}
