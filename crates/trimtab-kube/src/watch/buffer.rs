//! Bytes of an answer that have arrived.

use crate::failure::Failure;

/// Longer than any object: etcd's default limit is 1.5 MiB.
pub(super) const LONGEST: usize = 32 << 20;
/// A buffer larger than this is not kept for what comes next.
const KEPT: usize = 64 << 10;

/// What has arrived, and how much of it has been taken.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl Buffer {
    /// One more piece.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if nothing of so much data can be taken.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.len() + piece.len() > LONGEST {
            return Err(Failure::TooLong(LONGEST));
        }
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEPT);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// What has not been taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes so many bytes, at most what is there.
    pub(super) fn take(&mut self, length: usize) -> &[u8] {
        let start = self.taken;
        self.taken = self.bytes.len().min(start + length);
        &self.bytes[start..self.taken]
    }
}
