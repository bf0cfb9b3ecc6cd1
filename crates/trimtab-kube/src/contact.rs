//! Contact with the API server: for the log, /healthz and the metrics.
//!
//! The kernel keeps forwarding while the API server is unavailable, so that makes the node's proxy
//! neither unhealthy nor unready, as with kube-proxy; but users must be able to see it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::Kind;
use crate::failure::Failure;
use trimtab_metrics as metric;

/// The state of the contact with the API server, shared by all watches.
#[derive(Debug, Default)]
pub struct Contact {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    heard: Option<Instant>,
    /// Kinds whose watch currently fails.
    failing: BTreeSet<Kind>,
    /// Since when there has been such a kind.
    lost: Option<Instant>,
    /// Classes of failures that have been logged since then.
    logged: BTreeSet<String>,
}

impl Contact {
    /// The API server has sent something.
    pub fn heard(&self) {
        self.state().heard = Some(Instant::now());
        metric::api_server_heard();
    }

    /// The watch of a kind works, perhaps again.
    pub fn follows(&self, kind: Kind) {
        self.heard();
        let mut state = self.state();
        state.failing.remove(&kind);
        metric::api_server_failing(state.failing.len());
        if state.failing.is_empty()
            && let Some(lost) = state.lost.take()
        {
            state.logged.clear();
            let seconds = lost.elapsed().as_secs();
            info!(seconds, "the API server answers again");
        }
    }

    /// A list or watch of a kind failed. The first failure of its class is logged as a warning; it
    /// is not repeated at every attempt.
    pub fn failed(&self, kind: Kind, failure: &Failure) {
        metric::watch_failed(kind.as_str());
        let mut state = self.state();
        state.failing.insert(kind);
        state.lost.get_or_insert_with(Instant::now);
        metric::api_server_failing(state.failing.len());
        let kind = kind.as_str();
        if state.logged.insert(failure.class()) {
            warn!(
                kind,
                "cannot watch the API server, retrying with exponential back-off: {failure}"
            );
        } else {
            debug!(kind, "still cannot watch the API server: {failure}");
        }
    }

    /// How long the API server has sent nothing; `None` before the first answer.
    pub fn silence(&self) -> Option<Duration> {
        self.state().heard.map(|heard| heard.elapsed())
    }

    /// Whether the watches of all kinds work.
    pub fn is_whole(&self) -> bool {
        self.state().failing.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_api_server_is_back_when_every_kind_is_followed_again() {
        let contact = Contact::default();
        assert_eq!(contact.silence(), None);
        contact.follows(Kind::Services);
        contact.follows(Kind::Slices);
        contact.failed(Kind::Services, &Failure::Brief);
        contact.failed(Kind::Slices, &Failure::Brief);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(contact.silence(), Some(Duration::from_secs(40)));
        contact.follows(Kind::Services);
        assert!(!contact.is_whole());
        contact.follows(Kind::Slices);
        assert!(contact.is_whole());
        assert_eq!(contact.silence(), Some(Duration::ZERO));
    }
}
