//! Questions to the loop, and its state as it tells it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use trimtab_core::objects::ObjectName;
use trimtab_reconcile::{Answer, Drift, Explanation, Query};

/// A question to the loop, which answers at most one in each turn.
#[derive(Debug)]
pub enum Question {
    /// What is the state as a whole?
    State(oneshot::Sender<LoopState>),
    /// What is programmed?
    Programmed(Query, oneshot::Sender<Told<Answer>>),
    /// Why is a Service programmed as it is?
    Explain(Part, oneshot::Sender<Option<Explanation>>),
}

/// A part of the explanation of a Service.
#[derive(Clone, Debug)]
pub struct Part {
    /// The Service.
    pub service: ObjectName,
    /// How many rows were told before.
    pub from: usize,
    /// How many rows the part may have.
    pub limit: usize,
}

/// An answer, and when it was given by the clock of the times in it.
#[derive(Clone, Copy, Debug)]
pub struct Told<T> {
    /// When.
    pub now: Duration,
    /// The answer.
    pub answer: T,
}

/// The state of the loop.
#[derive(Clone, Copy, Debug)]
pub struct LoopState {
    /// When, by the clock of the times here.
    pub now: Duration,
    /// Not all lists are complete, so the kernel has not been touched.
    pub is_listing: bool,
    /// Services that are proxied.
    pub services: usize,
    /// Virtual servers that the kernel has or should have.
    pub virtual_servers: usize,
    /// Real servers that the kernel has or should have.
    pub real_servers: usize,
    /// Real servers that drain.
    pub draining: usize,
    /// Services for which something is still to be done.
    pub pending: usize,
    /// Objects that wait to be tried again.
    pub retrying: usize,
    /// The Services of these objects.
    pub failing_services: usize,
    /// How long the oldest change has waited that is not in the kernel yet.
    pub lag: Option<Duration>,
    /// What comparisons found.
    pub compared: Compared,
}

/// What comparisons with the kernel found since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// When the last one was complete.
    pub completed: Option<Duration>,
    /// What other programs had changed, in all.
    pub drift: Drift,
    /// When that was last so, and how much it was.
    pub last_drift: Option<(Duration, Drift)>,
}

/// Asks the loop.
#[derive(Clone, Debug)]
pub struct Asker {
    questions: mpsc::Sender<Question>,
}

/// The loop has no time now, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// The longest time for an answer. The loop is busy for longer only while it reads the whole kernel.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions that may wait.
const WAITING: usize = 4;

impl Asker {
    /// An asker, and what goes into the loop's [`Inputs`](crate::Inputs).
    pub fn new() -> (Self, mpsc::Receiver<Question>) {
        let (questions, receiver) = mpsc::channel(WAITING);
        (Self { questions }, receiver)
    }

    /// Asks for the state of the loop.
    ///
    /// # Errors
    /// If the loop does not answer in time.
    pub async fn state(&self) -> Result<LoopState, Unanswered> {
        self.ask(Question::State).await
    }

    /// Asks what is programmed.
    ///
    /// # Errors
    /// If the loop does not answer in time.
    pub async fn programmed(&self, query: Query) -> Result<Told<Answer>, Unanswered> {
        self.ask(|answer| Question::Programmed(query, answer)).await
    }

    /// Asks for a part of the explanation of a Service; `None` if there is no such Service.
    ///
    /// # Errors
    /// If the loop does not answer in time.
    pub async fn explanation(&self, part: Part) -> Result<Option<Explanation>, Unanswered> {
        self.ask(|answer| Question::Explain(part, answer)).await
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Unanswered> {
        let (sender, answer) = oneshot::channel();
        let asked = async {
            self.questions.send(question(sender)).await.map_err(|_| Unanswered)?;
            answer.await.map_err(|_| Unanswered)
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Unanswered))
    }
}
