//! The items of a list in protobuf.

use super::super::buffer::{Buffer, LONGEST};
use super::metadata::ListMetadata;
use crate::failure::Failure;
use crate::protobuf::{Fields, MAGIC, Malformed, Message as _};

/// The longest beginning of a field: its tag and its length.
const LONGEST_HEAD: usize = 20;

/// A list in protobuf, as far as it has arrived.
#[derive(Debug, Default)]
pub(in crate::watch) struct ProtobufItems {
    buffer: Buffer,
    place: Place,
    metadata: Option<ListMetadata>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The bytes that mark an object.
    #[default]
    Magic,
    /// A field of the envelope.
    Envelope,
    /// A field of the list, of which so many bytes are missing.
    List(u64),
}

/// The beginning of a field.
struct Head {
    number: u64,
    /// The length of this beginning.
    length: usize,
    /// The length of the value.
    value: usize,
}

impl ProtobufItems {
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.buffer.push(piece)
    }

    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            if self.place == Place::Magic {
                let rest = self.buffer.rest();
                let known = rest.len().min(MAGIC.len());
                if rest[..known] != MAGIC[..known] {
                    return Err(Malformed::Magic.into());
                }
                if known < MAGIC.len() {
                    return Ok(None);
                }
                self.buffer.take(known);
                self.place = Place::Envelope;
            }
            if self.place == Place::List(0) {
                self.place = Place::Envelope;
            }
            let Some(head) = head(self.buffer.rest())? else { return Ok(None) };
            if self.place == Place::Envelope && head.number == 2 {
                self.buffer.take(head.length);
                self.place = Place::List(head.value as u64);
                continue;
            }
            if head.value > LONGEST {
                return Err(Failure::TooLong(LONGEST));
            }
            let whole = head.length + head.value;
            if self.buffer.rest().len() < whole {
                return Ok(None);
            }
            let Place::List(missing) = &mut self.place else {
                // 3 is the encoding of the list, if it has one.
                let is_encoded = head.number == 3 && head.value > 0;
                self.buffer.take(whole);
                if is_encoded {
                    return Err(Malformed::Encoded.into());
                }
                continue;
            };
            *missing = missing.checked_sub(whole as u64).ok_or(Malformed::Short)?;
            match head.number {
                1 => {
                    let field = self.buffer.take(whole);
                    self.metadata = Some(ListMetadata::decode(&field[head.length..])?);
                }
                2 => return Ok(Some(&self.buffer.take(whole)[head.length..])),
                _ => drop(self.buffer.take(whole)),
            }
        }
    }

    pub(super) fn finish(&self) -> Result<ListMetadata, Failure> {
        let is_complete =
            matches!(self.place, Place::Envelope | Place::List(0)) && self.buffer.rest().is_empty();
        match &self.metadata {
            Some(metadata) if is_complete => Ok(metadata.clone()),
            _ => Err(Malformed::Short.into()),
        }
    }
}

/// The beginning of the field at the beginning of `bytes`, once it has arrived.
fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut fields = Fields(bytes);
    let mut number = || match fields.number() {
        Err(Malformed::Short) if bytes.len() < LONGEST_HEAD => Ok(None),
        number => number.map(Some),
    };
    let Some(tag) = number()? else { return Ok(None) };
    if tag >> 3 == 0 {
        return Err(Malformed::Tag(tag));
    }
    let value = match tag & 7 {
        0 if number()?.is_none() => return Ok(None),
        0 => 0,
        2 => match number()? {
            Some(length) => usize::try_from(length).map_err(|_| Malformed::Short)?,
            None => return Ok(None),
        },
        _ => return Err(Malformed::Tag(tag)),
    };
    Ok(Some(Head { number: tag >> 3, length: bytes.len() - fields.0.len(), value }))
}
