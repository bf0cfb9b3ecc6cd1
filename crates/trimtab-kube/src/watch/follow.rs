//! Follows one kind of object: a list, then one watch after the other.

use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

use super::backoff::Backoff;
use super::lines::Lines;
use super::request::{Event, Page, Selection, Status, read, send};
use super::timing::Timing;
use super::watched::Watched;
use crate::contact::Contact;
use crate::failure::Failure;
use crate::{Arrival, Change};
use trimtab_metrics as metric;

/// The most changes that are sent together: a wake-up for each would take longer than the change.
const TOGETHER: usize = 256;

/// The inputs and outputs of following one kind.
#[derive(Clone, Copy)]
pub(super) struct Follower<'a> {
    pub(super) client: &'a Client,
    pub(super) contact: &'a Contact,
    pub(super) timing: &'a Timing,
    pub(super) changes: &'a Sender<Arrival>,
}

/// Why a list or a watch ended early.
enum Ended {
    /// The receiver of changes is gone.
    NotWanted,
    /// The connection ended in the middle of a watch, as it does when an API server restarts.
    Cut,
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Follower<'_> {
    /// Follows until the receiver is gone.
    pub(super) async fn follow<K: Watched>(&self, selection: &Selection) {
        let mut backoff = Backoff::default();
        loop {
            let ended = match self.list::<K>(selection).await {
                Ok(revision) => self.watch_from::<K>(selection, revision, &mut backoff).await,
                Err(ended) => ended,
            };
            match ended {
                Ended::NotWanted => return,
                Ended::Failed(failure) if failure.is_expired() => {
                    info!(
                        kind = K::KIND.as_str(),
                        "the watch's resource version has expired: listing again"
                    );
                    self.pause(&mut backoff, &failure).await;
                }
                Ended::Failed(failure) => self.failed::<K>(&failure, &mut backoff).await,
                Ended::Cut => self.failed::<K>(&Failure::Brief, &mut backoff).await,
            }
        }
    }

    /// Lists everything, page by page; returns the revision from which watches continue.
    async fn list<K: Watched>(&self, selection: &Selection) -> Result<String, Ended> {
        let mut next = None;
        let mut changes = vec![Change::Begin(K::KIND)];
        loop {
            let request = selection.list::<K>(next.as_deref());
            let response = send(self.client, request, self.timing.answer).await?;
            let page = read(response, self.timing.answer).await?;
            let page: Page<K> = serde_json::from_slice(&page).map_err(Failure::from)?;
            self.contact.heard();
            changes.extend(page.items.into_iter().map(Watched::change));
            next = page.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                changes.push(Change::End(K::KIND));
                self.hand_on(changes).await?;
                return Ok(page.metadata.resource_version);
            }
            self.hand_on(std::mem::take(&mut changes)).await?;
        }
    }

    /// Watches repeatedly, until a new list is needed.
    async fn watch_from<K: Watched>(
        &self,
        selection: &Selection,
        mut revision: String,
        backoff: &mut Backoff,
    ) -> Ended {
        loop {
            let mut answered = None;
            let ended = self.watch::<K>(selection, &mut revision, &mut answered).await;
            // Counted from the answer on: waiting for an answer does not count.
            let has_lived = answered.is_some_and(|at: Instant| at.elapsed() >= self.timing.proven);
            if has_lived {
                backoff.reset();
            }
            match ended {
                Ok(()) if has_lived => {}
                // Normal, unless it keeps happening.
                Err(Ended::Cut) if has_lived => {
                    debug!(kind = K::KIND.as_str(), "a watch was interrupted");
                    metric::watch_failed(K::KIND.as_str());
                    self.pause(backoff, &Failure::Brief).await;
                }
                Ok(()) | Err(Ended::Cut) => self.failed::<K>(&Failure::Brief, backoff).await,
                Err(Ended::Failed(failure)) if is_resumable(&failure) => {
                    self.failed::<K>(&failure, backoff).await;
                }
                Err(ended) => return ended,
            }
        }
    }

    /// One watch, from `revision` on; updates `revision`. `answered` is set when the API server
    /// answers.
    async fn watch<K: Watched>(
        &self,
        selection: &Selection,
        revision: &mut String,
        answered: &mut Option<Instant>,
    ) -> Result<(), Ended> {
        let seconds = fastrand::u64(self.timing.watch.clone());
        let request = selection.watch::<K>(revision, seconds);
        let body = send(self.client, request, self.timing.answer).await?.into_body();
        *answered = Some(Instant::now());
        let mut body = pin!(body);
        let mut lines = Lines::default();
        let mut is_proven = false;
        loop {
            // The API server counts as back only once the watch works.
            let patience = if is_proven { self.timing.quiet_watch } else { self.timing.proven };
            let Ok(first) = timeout(patience, piece(body.as_mut())).await else {
                if is_proven {
                    return Err(Failure::Silent(patience).into());
                }
                is_proven = true;
                self.contact.follows(K::KIND);
                continue;
            };
            let mut changes = Vec::new();
            let mut end = None;
            let mut next = Some(first);
            // Whatever else is ready is sent with it.
            while let Some(piece_or_end) = next.take() {
                end = take::<K>(piece_or_end, &mut lines, revision, &mut changes);
                if end.is_none() && changes.len() < TOGETHER {
                    next = piece(body.as_mut()).now_or_never();
                }
            }
            if end.is_none() || !changes.is_empty() {
                self.contact.heard();
                if !is_proven {
                    is_proven = true;
                    self.contact.follows(K::KIND);
                }
            }
            if !changes.is_empty() {
                self.hand_on(changes).await?;
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn hand_on(&self, changes: Vec<Change>) -> Result<(), Ended> {
        self.changes.send(Arrival::now(changes)).await.map_err(|_| Ended::NotWanted)
    }

    async fn failed<K: Watched>(&self, failure: &Failure, backoff: &mut Backoff) {
        self.contact.failed(K::KIND, failure);
        self.pause(backoff, failure).await;
    }

    async fn pause(&self, backoff: &mut Backoff, failure: &Failure) {
        let pause = backoff.next(&self.timing.pause, fastrand::f64());
        sleep(pause.max(failure.retry_after())).await;
    }
}

/// The next piece of a body; `None` at its end.
async fn piece(mut body: Pin<&mut Body>) -> Result<Option<Bytes>, Ended> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Ended::Cut),
            // Trailers are ignored.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Processes an event of a watch; returns how the watch ended, if it did.
fn take<K: Watched>(
    piece: Result<Option<Bytes>, Ended>,
    lines: &mut Lines,
    revision: &mut String,
    changes: &mut Vec<Change>,
) -> Option<Result<(), Ended>> {
    let piece = match piece {
        Ok(Some(piece)) => piece,
        Ok(None) => return Some(Ok(())),
        Err(ended) => return Some(Err(ended)),
    };
    take_lines::<K>(&piece, lines, revision, changes).err().map(|failure| Err(failure.into()))
}

fn take_lines<K: Watched>(
    piece: &[u8],
    lines: &mut Lines,
    revision: &mut String,
    changes: &mut Vec<Change>,
) -> Result<(), Failure> {
    lines.push(piece)?;
    while let Some(line) = lines.next() {
        let (now, change) = match serde_json::from_slice::<Event<K>>(line)? {
            Event::Added(mut object) | Event::Modified(mut object) => {
                (object.take_revision(), Some(object.change()))
            }
            Event::Deleted(mut object) => (object.take_revision(), Some(object.gone())),
            Event::Bookmark(bookmark) => (Some(bookmark.metadata.resource_version), None),
            Event::Error(Status { code, message }) => {
                return Err(Failure::Refused { code, message, retry_after: None });
            }
        };
        if let Some(now) = now {
            *revision = now;
        }
        changes.extend(change);
    }
    Ok(())
}

/// Whether a watch can continue from its revision after this failure; otherwise a new list is
/// needed.
fn is_resumable(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Silent(_) | Failure::Brief => true,
        Failure::Refused { code, .. } => matches!(code, 401 | 403 | 408 | 429 | 500..),
        Failure::Unreadable(_) | Failure::TooLong(_) => false,
    }
}
