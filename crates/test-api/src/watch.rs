//! Watches: the stream of events to one client.

use std::future::pending;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::faults::{Cut, Effect, Gone};
use super::history::Event;
use super::object::Object;
use super::options::{Beginning, Options};
use super::representation::Representation;
use super::selector::Filter;
use super::shared::{Shared, stopped};
use super::{Refusal, Resource};

/// Bytes after which a piece of the stream goes out.
const PIECE: usize = 128 << 10;
/// Events read from the history at once.
const BATCH: usize = 256;

/// An open watch. Dropped when the client goes.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    resource: Resource,
    filter: Filter,
    representation: Representation,
    phase: Phase,
    /// The next event to read from the history.
    position: u64,
    /// Events up to here are of no interest.
    after: u64,
    allows_bookmarks: bool,
    bookmarks: Option<Interval>,
    bookmark_is_due: bool,
    deadline: Option<Instant>,
    is_last_look: bool,
    bell: watch::Receiver<()>,
    cuts: watch::Receiver<Cut>,
    stop: watch::Receiver<bool>,
    truncation: Option<Truncation>,
}

enum Phase {
    /// Sending the state.
    State { objects: std::vec::IntoIter<Arc<Object>>, revision: u64, is_marked: bool },
    /// Sending events as they come.
    Live,
    /// Only this is left to send.
    Refused(Refusal),
    /// Nothing more to send; the stream ends in this way.
    Over(Cut),
}

#[derive(Clone, Copy)]
struct Truncation {
    events_left: u64,
    cut: Cut,
}

/// A piece of the stream under construction.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    events: u64,
    bookmarks: u64,
}

impl Watch {
    /// Opens a watch; `effect` is a fault that it meets.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        resource: Resource,
        filter: Filter,
        options: &Options,
        representation: Representation,
        effect: Option<&Effect>,
    ) -> Result<Self, Refusal> {
        let beginning = options.beginning(shared.config.streaming_lists)?;
        let bell = shared.store.subscribe(resource);
        let start = if effect == Some(&Effect::Gone) {
            Err(Refusal::Expired { wanted: options.not_before(), oldest: shared.store.revision() })
        } else {
            start(shared, resource, &filter, beginning)
        };
        let (phase, position) = match start {
            Ok(start) => start,
            Err(refusal @ Refusal::Expired { .. })
                if effect.is_some() || shared.faults().stale_watches == Gone::Event =>
            {
                (Phase::Refused(refusal), 0)
            }
            Err(refusal) => return Err(refusal),
        };
        let truncation = match effect {
            Some(&Effect::Truncate { after_events, cut }) => {
                Some(Truncation { events_left: after_events, cut })
            }
            _ => None,
        };
        let now = Instant::now();
        let period = shared.config.bookmark_interval.filter(|_| options.allow_bookmarks);
        let bookmarks = period.map(|period| {
            let mut interval = interval_at(now + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        shared.counters.send_modify(|counters| counters.watch_opened(resource));
        Ok(Self {
            resource,
            filter,
            representation,
            phase,
            position,
            after: match beginning {
                Beginning::After(revision) => revision,
                Beginning::State { .. } | Beginning::Now => 0,
            },
            allows_bookmarks: options.allow_bookmarks,
            bookmarks,
            bookmark_is_due: false,
            deadline: options.timeout.map(|timeout| now + timeout),
            is_last_look: false,
            bell,
            cuts: shared.cuts.subscribe(),
            stop: shared.stop.subscribe(),
            truncation,
            shared: Arc::clone(shared),
        })
    }

    /// The next piece of the stream; `None` ends it, an error breaks the connection.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.cuts.has_changed().unwrap_or(false) {
                self.phase = Phase::Over(*self.cuts.borrow_and_update());
            }
            if *self.stop.borrow() {
                self.phase = Phase::Over(Cut::Clean);
            }
            let mut piece = Piece::default();
            match &mut self.phase {
                Phase::Over(Cut::Clean) => return None,
                Phase::Over(Cut::Abort) => {
                    // Earlier data must arrive first: a broken stream is not flushed.
                    sleep(std::time::Duration::from_millis(20)).await;
                    return Some(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                Phase::Refused(refusal) => {
                    self.representation.error(&mut piece.bytes, refusal);
                    self.phase = Phase::Over(Cut::Clean);
                }
                Phase::State { .. } => self.send_state(&mut piece),
                Phase::Live => {
                    // Before reading, so that a later write notifies again.
                    self.bell.borrow_and_update();
                    let is_idle = self.send_events(&mut piece);
                    if is_idle && piece.bytes.is_empty() && matches!(self.phase, Phase::Live) {
                        self.wait().await;
                        continue;
                    }
                }
            }
            if !piece.bytes.is_empty() {
                self.shared
                    .counters
                    .send_modify(|c| c.sent(self.resource, piece.events, piece.bookmarks));
                return Some(Ok(piece.bytes.into()));
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.bell.changed() => {}
            _ = self.cuts.changed() => self.phase = Phase::Over(*self.cuts.borrow()),
            () = stopped(&mut self.stop) => self.phase = Phase::Over(Cut::Clean),
            () = until(self.deadline) => self.is_last_look = true,
            () = tick(self.bookmarks.as_mut()) => self.bookmark_is_due = true,
        }
    }

    fn send_state(&mut self, piece: &mut Piece) {
        let Phase::State { objects, revision, is_marked } = &mut self.phase else { return };
        let (revision, is_marked) = (*revision, *is_marked);
        let mut objects = std::mem::take(objects);
        while piece.bytes.len() < PIECE {
            let Some(object) = objects.next() else {
                if is_marked && self.allows_bookmarks {
                    self.bookmark(piece, revision, true);
                }
                self.phase = Phase::Live;
                return;
            };
            if !self.send(piece, "ADDED", &object) {
                return;
            }
        }
        self.phase = Phase::State { objects, revision, is_marked };
    }

    /// Appends what has happened; true if there was nothing.
    fn send_events(&mut self, piece: &mut Piece) -> bool {
        let (events, revision) = self.shared.store.read(|state| {
            let history = &state.collection(self.resource).history;
            (history.read(self.position, BATCH), state.revision())
        });
        let Some(events) = events else {
            // The client reads more slowly than objects change.
            let refusal = Refusal::Expired { wanted: self.after, oldest: revision };
            self.phase = Phase::Refused(refusal);
            return false;
        };
        for event in &events {
            self.position += 1;
            if event.revision <= self.after {
                continue;
            }
            let sent = match self.seen(event) {
                Seen::Nothing => true,
                Seen::As(kind) => self.send(piece, kind, &event.object),
                Seen::Lost(previous) => {
                    self.send(piece, "DELETED", &previous.restamped(event.revision))
                }
            };
            if !sent {
                return false;
            }
        }
        if !events.is_empty() {
            return false;
        }
        if std::mem::take(&mut self.bookmark_is_due) || self.is_last_look {
            // A bookmark never goes back behind the revision that the client came with.
            if self.allows_bookmarks {
                self.bookmark(piece, revision.max(self.after), false);
            }
            if self.is_last_look {
                self.phase = Phase::Over(Cut::Clean);
            }
        }
        true
    }

    /// How an event looks through the filter.
    fn seen<'e>(&self, event: &'e Event) -> Seen<'e> {
        let matches = |object: &Object| self.filter.matches(&event.key, object);
        let before = event.previous.as_deref().filter(|object| matches(object));
        let is_now = !event.is_removal && matches(&event.object);
        match (before, is_now) {
            (None, false) => Seen::Nothing,
            (None, true) => Seen::As("ADDED"),
            (Some(_), true) => Seen::As("MODIFIED"),
            (Some(_), false) if event.is_removal => Seen::As("DELETED"),
            (Some(previous), false) => Seen::Lost(previous),
        }
    }

    /// Appends an event; false if the stream is cut within it.
    fn send(&mut self, piece: &mut Piece, kind: &str, object: &Object) -> bool {
        let start = piece.bytes.len();
        self.representation.event(&mut piece.bytes, kind, self.resource, object);
        if let Some(truncation) = &mut self.truncation {
            if truncation.events_left == 0 {
                piece.bytes.truncate(usize::midpoint(start, piece.bytes.len()));
                self.phase = Phase::Over(truncation.cut);
                return false;
            }
            truncation.events_left -= 1;
        }
        piece.events += 1;
        true
    }

    fn bookmark(&self, piece: &mut Piece, revision: u64, ends_initial: bool) {
        self.representation.bookmark(&mut piece.bytes, self.resource, revision, ends_initial);
        piece.bookmarks += 1;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.counters.send_modify(|counters| counters.watch_closed(self.resource));
    }
}

enum Seen<'e> {
    Nothing,
    As(&'static str),
    /// It no longer matches; this is how it last did.
    Lost(&'e Object),
}

/// The first phase, and the position from which events are read then.
fn start(
    shared: &Shared,
    resource: Resource,
    filter: &Filter,
    beginning: Beginning,
) -> Result<(Phase, u64), Refusal> {
    shared.store.read(|state| {
        let collection = state.collection(resource);
        let end = collection.history.end();
        match beginning {
            Beginning::Now => Ok((Phase::Live, end)),
            Beginning::After(revision) => Ok((Phase::Live, collection.history.after(revision)?)),
            Beginning::State { not_before, is_marked } => {
                let revision = state.revision();
                if not_before > revision {
                    return Err(Refusal::TooLarge { wanted: not_before, current: revision });
                }
                let chosen: Vec<_> = collection
                    .objects
                    .iter()
                    .filter(|(key, object)| filter.matches(key, object))
                    .map(|(_, object)| Arc::clone(object))
                    .collect();
                Ok((Phase::State { objects: chosen.into_iter(), revision, is_marked }, end))
            }
        }
    })
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => pending().await,
    }
}
