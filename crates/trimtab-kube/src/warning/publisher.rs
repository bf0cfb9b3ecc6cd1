//! Sending Events.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::debug;

use super::board::{Board, Posted};
use super::schedule::{EventRequest, Outcome, Schedule};
use super::{Warning, event};
use trimtab_metrics as metric;

/// Longer than any healthy API server takes to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends what is on a board as Events, one request at a time.
pub struct Publisher {
    client: Client,
    node: String,
    board: Arc<Board>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher for the warnings of this node.
    pub fn new(client: Client, node: &str, board: Arc<Board>) -> Self {
        Self { client, node: node.to_owned(), board }
    }

    /// Publishes until the task is dropped. Nothing waits for it, and it never fails: an Event that
    /// cannot be sent is counted and retried later.
    pub async fn run(self) {
        let epoch = Instant::now();
        let mut schedule = Schedule::new(&self.node);
        loop {
            for (key, posted) in self.board.take() {
                match posted {
                    Posted::Begin(warning) => schedule.begin(key, warning, epoch.elapsed()),
                    Posted::End => schedule.end(key, epoch.elapsed()),
                }
            }
            match schedule.next(epoch.elapsed()) {
                Ok(send) => {
                    let (EventRequest::Create(key, _) | EventRequest::Repeat(key, ..)) = &send;
                    let key = *key;
                    let outcome = self.send(send).await;
                    metric::event(outcome.as_str());
                    schedule.settle(key, outcome, epoch.elapsed());
                }
                Err(Some(next)) => tokio::select! {
                    () = self.board.changed() => {}
                    () = tokio::time::sleep_until(epoch + next) => {}
                },
                Err(None) => self.board.changed().await,
            }
        }
    }

    async fn send(&self, send: EventRequest) -> Outcome {
        let request = tokio::time::timeout(PATIENCE, async {
            match &send {
                EventRequest::Create(_, warning) => {
                    let event = event::event(warning, &self.node, Timestamp::now());
                    self.events(warning).create(&PostParams::default(), &event).await.map(drop)
                }
                EventRequest::Repeat(_, warning, times) => {
                    let name = event::name(warning, &self.node);
                    let patch = Patch::Merge(event::repeat(*times, Timestamp::now()));
                    let events = self.events(warning);
                    events.patch(&name, &PatchParams::default(), &patch).await.map(drop)
                }
            }
        });
        let is_repeat = matches!(send, EventRequest::Repeat(..));
        match request.await {
            Ok(Ok(())) => Outcome::Said,
            Ok(Err(kube::Error::Api(status))) if status.code == 409 && !is_repeat => Outcome::Known,
            Ok(Err(kube::Error::Api(status))) if status.code == 404 && is_repeat => {
                Outcome::Forgotten
            }
            Ok(Err(error)) => {
                debug!(%error, "an Event was not sent");
                Outcome::Failed
            }
            Err(_) => {
                debug!("an Event was not sent in time");
                Outcome::Failed
            }
        }
    }

    fn events(&self, warning: &Warning) -> Api<Event> {
        Api::namespaced(self.client.clone(), event::namespace(warning))
    }
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Said => "sent",
            Self::Known => "known",
            Self::Forgotten => "forgotten",
            Self::Failed => "failed",
        }
    }
}
