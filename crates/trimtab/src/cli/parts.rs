//! The threads and tasks that the program consists of. None may end while the others go on: a node
//! whose loop is gone, with probes that still answer, is worse than one whose program is started
//! again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Starts parts, and hears of their ends.
#[derive(Clone, Debug)]
pub(super) struct Parts(UnboundedSender<Ended>);

/// A part has ended.
#[derive(Debug)]
pub(super) struct Ended {
    part: &'static str,
    outcome: anyhow::Result<()>,
}

impl Ended {
    /// Why the program ends, if nobody told the part to.
    pub(super) fn into_error(self) -> anyhow::Error {
        let part = self.part;
        match self.outcome {
            Ok(()) => anyhow!("{part} ended, which it never should"),
            Err(error) => error.context(format!("{part} failed")),
        }
    }

    /// What came of it, if it is this part.
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
    /// When the system has none left.
    pub(super) fn thread(
        &self,
        part: &'static str,
        work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<JoinHandle<()>> {
        let ended = self.0.clone();
        let run = move || {
            // What the work held is dropped with it, and nobody else sees it.
            let outcome = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", words(&*panic))));
            // Nobody listens any more where the program ends already.
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

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_any_part_is_an_error_that_says_which_and_why() {
        let (parts, mut ended) = Parts::new();
        let mut next = async || format!("{:#}", ended.recv().await.unwrap().into_error());
        parts.thread("sync", || panic!("out of {}", "luck")).unwrap();
        assert_eq!(next().await, "sync failed: panicked: out of luck");
        parts.thread("audit", || Ok(())).unwrap();
        assert_eq!(next().await, "audit ended, which it never should");
        parts.task("probes", async { Err(anyhow!("the port is taken")) });
        assert_eq!(next().await, "probes failed: the port is taken");
        parts.task("addresses", async { panic!("no more") });
        let words = next().await;
        assert!(words.starts_with("addresses failed: ") && words.contains("panicked"), "{words}");
    }
}
