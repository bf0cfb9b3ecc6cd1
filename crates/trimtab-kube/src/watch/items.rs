//! Splits a list into its items while it arrives, so that a list is never in memory as a whole.

mod json;
mod metadata;
mod protobuf;

use serde::Deserialize;

use self::json::JsonItems;
use self::metadata::ListMetadata;
use self::protobuf::ProtobufItems;
use super::encoding::Encoding;
use crate::failure::Failure;

/// A list, as far as it has arrived.
#[derive(Debug)]
pub(super) enum Items {
    Json(JsonItems),
    Protobuf(ProtobufItems),
}

impl Items {
    pub(super) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Json(JsonItems::default()),
            Encoding::Protobuf => Self::Protobuf(ProtobufItems::default()),
        }
    }

    /// One more piece. The items of the piece before must have been taken.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if an item does not end.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Json(items) => items.push(piece),
            Self::Protobuf(items) => items.push(piece),
        }
    }

    /// The next whole item.
    ///
    /// # Errors
    /// What has arrived is no list.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        match self {
            Self::Json(items) => Ok(items.next()),
            Self::Protobuf(items) => items.next(),
        }
    }

    /// The metadata, once everything has arrived.
    ///
    /// # Errors
    /// The list is not complete, or was none.
    pub(super) fn finish(&self) -> Result<ListMetadata, Failure> {
        match self {
            Self::Json(items) => {
                let list: JsonList = serde_json::from_slice(items.rest())?;
                Ok(list.metadata)
            }
            Self::Protobuf(items) => items.finish(),
        }
    }
}

/// A list without its items.
#[derive(Deserialize)]
struct JsonList {
    metadata: ListMetadata,
    /// Items that were no objects are still here, and then this cannot be read.
    #[serde(default, rename = "items")]
    _items: Option<[(); 0]>,
}
