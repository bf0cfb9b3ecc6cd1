//! Text of bounded length.

use std::fmt::{self, Write as _};

/// Collects text up to a limit; what is beyond it is only counted.
#[derive(Debug)]
pub(crate) struct Text {
    kept: String,
    limit: usize,
    left_out: usize,
}

impl Text {
    pub(crate) fn new(limit: usize) -> Self {
        Self { kept: String::new(), limit, left_out: 0 }
    }

    pub(crate) fn push_str(&mut self, more: &str) {
        let room = self.limit - self.kept.len();
        // Once something is left out, everything after it is.
        let mut fits = if self.left_out > 0 { 0 } else { room.min(more.len()) };
        while !more.is_char_boundary(fits) {
            fits -= 1;
        }
        self.kept.push_str(&more[..fits]);
        self.left_out += more.len() - fits;
    }

    /// The text, with a last line about what was left out.
    pub(crate) fn finish(mut self) -> String {
        if self.left_out > 0 {
            let _ = write!(self.kept, "\n[{} bytes more are left out]\n", self.left_out);
        }
        self.kept
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_limit_and_says_how_much_is_missing() {
        let mut text = Text::new(5);
        for part in ["ab", "cdéf", "x"] {
            text.push_str(part);
        }
        assert_eq!(text.finish(), "abcd\n[4 bytes more are left out]\n");
        let mut whole = Text::new(3);
        whole.push_str("abc");
        assert_eq!(whole.finish(), "abc");
    }
}
