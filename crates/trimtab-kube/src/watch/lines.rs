//! Splits a stream into lines.

use super::buffer::Buffer;
use crate::failure::Failure;

/// Data that has arrived, and how much of it has been returned.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Buffer,
    /// Where the search for the end of the line continues.
    searched: usize,
}

impl Lines {
    /// One more piece.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if a line does not end.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.buffer.push(piece)
    }

    /// The next whole line, without its end. Empty lines are skipped.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let rest = self.buffer.rest();
            let found = rest[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(length) = found else {
                self.searched = rest.len();
                return None;
            };
            let length = std::mem::take(&mut self.searched) + length;
            if length > 0 {
                return Some(&self.buffer.take(length + 1)[..length]);
            }
            self.buffer.take(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::buffer::LONGEST;
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes()).unwrap();
            while let Some(line) = lines.next() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = "{\"a\":1}\n\n{\"b\":\"é\"}\n{\"unfinished\"";
        let whole = lines(&[text]);
        assert_eq!(whole, ["{\"a\":1}", "{\"b\":\"é\"}"]);
        for size in 1..text.len() {
            let mut found = Lines::default();
            let mut all = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                found.push(piece).unwrap();
                while let Some(line) = found.next() {
                    all.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            assert_eq!(all, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_all_of_memory() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; LONGEST / 4];
        for _ in 0..4 {
            lines.push(&piece).unwrap();
            assert!(lines.next().is_none());
        }
        assert!(matches!(lines.push(&piece), Err(Failure::TooLong(_))));
    }
}
