//! The changes in the pieces of a watch that arrive together.

use bytes::Bytes;

use super::encoding::{Encoding, Splitter};
use super::ended::Ended;
use super::event::{Event, Status};
use super::place::Place;
use super::watched::Watched;
use crate::Change;
use crate::failure::Failure;

/// Changes that arrived together, and how far they lead.
pub(super) struct Batch<'a> {
    place: &'a mut Place,
    pub(super) changes: Vec<Change>,
    /// Whether there are further objects, so that the state at the beginning of a watch has grown.
    pub(super) has_grown: bool,
}

impl<'a> Batch<'a> {
    /// A batch that begins with `changes`.
    pub(super) fn new(place: &'a mut Place, changes: Vec<Change>) -> Self {
        Self { place, changes, has_grown: false }
    }

    /// Takes a piece of a watch, or its end.
    ///
    /// # Errors
    /// How the watch has ended, if it has. What came before is in the batch.
    pub(super) fn take<K: Watched>(
        &mut self,
        piece: Option<Result<Bytes, kube::Error>>,
        encoding: Encoding,
        splitter: &mut Splitter,
    ) -> Result<(), Ended> {
        splitter.push(&piece.ok_or(Ended::Over)?.map_err(|_| Ended::Cut)?)?;
        while let Some(event) = splitter.next()? {
            self.take_event::<K>(Event::decode(encoding, event)?)?;
        }
        Ok(())
    }

    fn take_event<K: Watched>(&mut self, event: Event<K>) -> Result<(), Ended> {
        match event {
            Event::Added(object) => {
                self.has_grown = true;
                self.take_object(object, K::change);
            }
            Event::Modified(object) => self.take_object(object, K::change),
            Event::Deleted(object) => self.take_object(object, K::gone),
            Event::Bookmark(bookmark) => {
                if self.place.is_listed() {
                    self.place.reached(bookmark.resource_version);
                } else if bookmark.ends_state() {
                    self.changes.push(Change::End(K::KIND));
                    self.place.listed(bookmark.resource_version);
                } else {
                    // A server that knows of the mark sends it first.
                    return Err(Ended::Unmarked);
                }
            }
            Event::Error(Status { code, message }) => {
                return Err(Failure::Refused { code, message, retry_after: None }.into());
            }
        }
        Ok(())
    }

    fn take_object<K: Watched>(&mut self, mut object: K, change: fn(K) -> Change) {
        // The objects of the state come in the order of their names.
        if let Some(revision) = object.take_revision().filter(|_| self.place.is_listed()) {
            self.place.reached(revision);
        }
        self.changes.push(change(object));
    }
}
