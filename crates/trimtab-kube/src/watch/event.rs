//! Events of a watch, and errors of the API server.

use serde::Deserialize;

use super::encoding::Encoding;
use super::watched::Watched;
use crate::failure::Failure;
use crate::protobuf::{Malformed, Message, Value, WatchFrame, unwrap};

/// The annotation of the bookmark that ends the state at the beginning of a watch
/// (`InitialEventsAnnotationKey` in apimachinery's meta/v1).
const STATE_ENDS: &str = "k8s.io/initial-events-end";

/// One event.
#[derive(Debug)]
pub(super) enum Event<K> {
    Added(K),
    Modified(K),
    Deleted(K),
    Bookmark(Bookmark),
    Error(Status),
}

impl<K: Watched> Event<K> {
    /// Decodes a line or a frame of a watch.
    ///
    /// # Errors
    /// The bytes are no event.
    pub(super) fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Self, Failure> {
        match encoding {
            Encoding::Json => Ok(match serde_json::from_slice(bytes)? {
                JsonEvent::Added(object) => Self::Added(object),
                JsonEvent::Modified(object) => Self::Modified(object),
                JsonEvent::Deleted(object) => Self::Deleted(object),
                JsonEvent::Bookmark(object) => Self::Bookmark(object.metadata),
                JsonEvent::Error(status) => Self::Error(status),
            }),
            Encoding::Protobuf => {
                let frame = WatchFrame::decode(bytes)?;
                let object = unwrap(frame.object)?;
                Ok(match frame.kind {
                    "ADDED" => Self::Added(encoding.object(object)?),
                    "MODIFIED" => Self::Modified(encoding.object(object)?),
                    "DELETED" => Self::Deleted(encoding.object(object)?),
                    "BOOKMARK" => Self::Bookmark(BookmarkObject::decode(object)?.metadata),
                    "ERROR" => Self::Error(Status::decode(object)?),
                    other => {
                        let message = format!("{other:?} is no type of a watch event");
                        return Err(Failure::Unreadable(message));
                    }
                })
            }
        }
    }
}

/// A line of a watch.
#[derive(Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
enum JsonEvent<K> {
    Added(K),
    Modified(K),
    Deleted(K),
    Bookmark(BookmarkObject),
    Error(Status),
}

/// An object that carries nothing but a revision.
#[derive(Debug, Default, Deserialize)]
struct BookmarkObject {
    metadata: Bookmark,
}

/// `metadata` of a bookmark.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Bookmark {
    pub(super) resource_version: String,
    annotations: Option<Annotations>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "k8s.io/initial-events-end")]
    state_ends: Option<String>,
}

impl Bookmark {
    /// Whether it marks the end of the state at the beginning of a watch.
    pub(super) fn ends_state(&self) -> bool {
        let mark = self.annotations.as_ref().and_then(|all| all.state_ends.as_deref());
        mark == Some("true")
    }
}

impl<'a> Message<'a> for BookmarkObject {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.metadata = value.message()?;
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Bookmark {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            6 => value.text()?.clone_into(&mut self.resource_version),
            12 => {
                let (key, mark) = value.message::<Entry<'_>>()?.0;
                if key == STATE_ENDS {
                    self.annotations = Some(Annotations { state_ends: Some(mark.to_owned()) });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// An entry of a map.
#[derive(Debug, Default)]
struct Entry<'a>((&'a str, &'a str));

impl<'a> Message<'a> for Entry<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.0.0 = value.text()?,
            2 => self.0.1 = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// The API server's error response (`Status`, meta/v1).
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Status {
    /// Decodes the body of an error.
    pub(super) fn of_body(encoding: Encoding, body: &[u8]) -> Option<Self> {
        match encoding {
            Encoding::Json => serde_json::from_slice(body).ok(),
            Encoding::Protobuf => unwrap(body).and_then(Self::decode).ok(),
        }
    }
}

impl<'a> Message<'a> for Status {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            3 => value.text()?.clone_into(&mut self.message),
            6 => self.code = u16::try_from(value.integer()?).map_err(|_| Malformed::Type)?,
            _ => {}
        }
        Ok(())
    }
}
