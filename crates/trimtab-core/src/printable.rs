//! Text from strangers on its way to a terminal or a log.
//!
//! Names and values come from whoever may create an object or write a file. Raw, a control character
//! in them could move the cursor, hide text or forge a line of the log.

use std::fmt::{self, Write as _};

/// Prints a text with every character that does not show escaped as Rust does it: `\u{1b}` for
/// ESC, `\n` for the end of a line. Quotes and backslashes stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return f.write_str(self.0);
        }
        for character in self.0.chars() {
            match character {
                '\'' | '"' | '\\' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_escaped_and_the_rest_is_as_it_was() {
        for (text, printed) in [
            ("default/web", "default/web"),
            ("it's \"C:\\temp\"", "it's \"C:\\temp\""),
            ("größer", "größer"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("one\nINFO forged", "one\\nINFO forged"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
        ] {
            assert_eq!(Printable(text).to_string(), printed);
        }
    }
}
