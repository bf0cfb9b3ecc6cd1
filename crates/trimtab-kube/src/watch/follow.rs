//! Follows one kind of object: its state, then one watch after the other.

use std::convert::Infallible;
use std::pin::pin;

use futures_util::FutureExt as _;
use kube::Client;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info};

use super::backoff::Backoff;
use super::batch::Batch;
use super::encoding::{Accepted, Encoding, Splitter};
use super::ended::Ended;
use super::items::Items;
use super::place::{Place, Reaction, Step};
use super::request::{Selection, piece, send};
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

impl Follower<'_> {
    /// Follows until the receiver is gone.
    pub(super) async fn follow<K: Watched>(&self, selection: &Selection) {
        let mut backoff = Backoff::default();
        let mut place = Place::default();
        loop {
            let mut answered = None;
            let ended = match place.next() {
                Step::List { not_before } => {
                    let accepted = place.accepted();
                    let request = selection.list::<K>(not_before, accepted);
                    match self.list::<K>(selection, request, accepted).await {
                        Ok(revision) => {
                            place.listed(revision);
                            continue;
                        }
                        Err(ended) => ended,
                    }
                }
                Step::Stream { .. } | Step::Watch { .. } => {
                    let Err(ended) = self.watch::<K>(selection, &mut place, &mut answered).await;
                    ended
                }
            };
            // Counted from the answer on: waiting for an answer does not count.
            let has_lived = place.is_listed()
                && answered.is_some_and(|at: Instant| at.elapsed() >= self.timing.proven);
            if has_lived {
                backoff.reset();
            }
            let reaction = place.react(&ended, has_lived);
            debug!(kind = K::KIND.as_str(), ?ended, ?reaction, "a request has ended");
            let failure = match ended {
                Ended::Failed(failure) => failure,
                Ended::Over | Ended::Cut | Ended::Unmarked | Ended::NotWanted => Failure::Brief,
            };
            match reaction {
                Reaction::Stop => return,
                Reaction::Continue => continue,
                Reaction::Pause => {
                    if failure.is_expired() {
                        info!(
                            kind = K::KIND.as_str(),
                            "the watch's resource version has expired: listing again"
                        );
                    } else {
                        metric::watch_failed(K::KIND.as_str());
                    }
                }
                Reaction::Fail => self.contact.failed(K::KIND, &failure),
            }
            self.pause(&mut backoff, &failure).await;
        }
    }

    /// Requests a list and decodes its objects while they arrive; returns the revision from which
    /// watches continue.
    async fn list<K: Watched>(
        &self,
        selection: &Selection,
        mut request: http::Request<kube::client::Body>,
        accepted: Accepted,
    ) -> Result<String, Ended> {
        let mut changes = vec![Change::Begin(K::KIND)];
        loop {
            let response = send(self.client, request, self.timing.answer).await?;
            let encoding = Encoding::of(response.headers())?;
            let mut body = pin!(response.into_body());
            let mut items = Items::new(encoding);
            loop {
                let next = timeout(self.timing.answer, piece(body.as_mut())).await;
                let bytes = match next.map_err(|_| Failure::Silent(self.timing.answer))? {
                    None => break,
                    Some(Err(error)) => return Err(Failure::unreachable(&error).into()),
                    Some(Ok(bytes)) => bytes,
                };
                self.contact.heard();
                items.push(&bytes)?;
                while let Some(item) = items.next()? {
                    changes.push(encoding.object::<K>(item)?.change());
                }
                if changes.len() >= TOGETHER {
                    self.hand_on(std::mem::take(&mut changes)).await?;
                }
            }
            let metadata = items.finish()?;
            let Some(next) = metadata.next.filter(|next| !next.is_empty()) else {
                changes.push(Change::End(K::KIND));
                self.hand_on(changes).await?;
                return Ok(metadata.resource_version);
            };
            request = selection.rest_of_list::<K>(&next, accepted);
        }
    }

    /// One watch, from where `place` is on; updates `place`. `answered` is set when the API server
    /// answers.
    async fn watch<K: Watched>(
        &self,
        selection: &Selection,
        place: &mut Place,
        answered: &mut Option<Instant>,
    ) -> Result<Infallible, Ended> {
        let seconds = fastrand::u64(self.timing.watch.clone());
        let accepted = place.accepted();
        let (request, mut begun) = match place.next() {
            Step::Watch { after } => (selection.watch::<K>(after, seconds, accepted), Vec::new()),
            Step::Stream { not_before } | Step::List { not_before } => {
                let request = selection.stream::<K>(not_before, seconds, accepted);
                (request, vec![Change::Begin(K::KIND)])
            }
        };
        let response = send(self.client, request, self.timing.answer).await?;
        *answered = Some(Instant::now());
        let encoding = Encoding::of(response.headers())?;
        let mut body = pin!(response.into_body());
        let mut splitter = Splitter::new(encoding);
        let mut is_proven = false;
        // When an object of the state was last seen.
        let mut grown = Instant::now();
        loop {
            let next = piece(body.as_mut());
            let first = if place.is_listed() {
                // The API server counts as back only once the watch works.
                let patience = if is_proven { self.timing.quiet_watch } else { self.timing.proven };
                match timeout(patience, next).await {
                    Ok(first) => first,
                    Err(_) if is_proven => return Err(Failure::Silent(patience).into()),
                    Err(_) => {
                        is_proven = true;
                        self.contact.follows(K::KIND);
                        continue;
                    }
                }
            } else {
                let end = grown + self.timing.quiet_state;
                timeout_at(end, next).await.map_err(|_| Ended::Unmarked)?
            };
            let mut batch = Batch::new(place, std::mem::take(&mut begun));
            let mut taken = batch.take::<K>(first, encoding, &mut splitter);
            // Whatever else is ready is sent with it.
            while taken.is_ok() && batch.changes.len() < TOGETHER {
                let Some(next) = piece(body.as_mut()).now_or_never() else { break };
                taken = batch.take::<K>(next, encoding, &mut splitter);
            }
            let Batch { changes, has_grown, .. } = batch;
            if has_grown {
                grown = Instant::now();
            }
            if taken.is_ok() || !changes.is_empty() {
                self.contact.heard();
                if !is_proven && place.is_listed() {
                    is_proven = true;
                    self.contact.follows(K::KIND);
                }
            }
            if !changes.is_empty() {
                self.hand_on(changes).await?;
            }
            taken?;
        }
    }

    async fn hand_on(&self, changes: Vec<Change>) -> Result<(), Ended> {
        self.changes.send(Arrival::now(changes)).await.map_err(|_| Ended::NotWanted)
    }

    async fn pause(&self, backoff: &mut Backoff, failure: &Failure) {
        // After the wait that an API server asks of everybody, not all come at the same moment.
        let pause = backoff.next(&self.timing.pause, fastrand::f64());
        sleep(failure.retry_after() + pause).await;
    }
}
