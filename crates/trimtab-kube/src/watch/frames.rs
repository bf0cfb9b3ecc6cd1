//! Splits a watch in protobuf into its frames: a length of four bytes, big-endian, and as many bytes
//! (apimachinery: pkg/util/framer).

use super::buffer::{Buffer, LONGEST};
use crate::failure::Failure;

/// Data that has arrived.
#[derive(Debug, Default)]
pub(super) struct Frames(Buffer);

impl Frames {
    /// One more piece.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if a frame does not end.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.0.push(piece)
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// It says that it is longer than any object, as other data would.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        let Some((length, rest)) = self.0.rest().split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return Err(Failure::Unreadable(format!("a frame of a watch has {length} bytes")));
        }
        if rest.len() < length {
            return Ok(None);
        }
        Ok(Some(&self.0.take(4 + length)[4..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = b"\0\0\0\x02hi\0\0\0\0\0\0\0\x01!\0\0\0\x02u";
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                frames.push(piece).unwrap();
                while let Some(frame) = frames.next().unwrap() {
                    found.push(frame.to_vec());
                }
            }
            assert_eq!(found, [&b"hi"[..], b"", b"!"], "in pieces of {size}");
        }
    }

    #[test]
    fn json_is_no_frame() {
        let mut frames = Frames::default();
        frames.push(br#"{"type":"ADDED"}"#).unwrap();
        assert!(matches!(frames.next(), Err(Failure::Unreadable(_))));
    }
}
