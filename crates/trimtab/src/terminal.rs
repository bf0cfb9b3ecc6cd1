//! What only people at a terminal want: colours, and the progress of long work.

use std::io::{IsTerminal, Write as _, stderr};

/// Whether to write colours to a stream: to terminals only, and not if the user wants none
/// (<https://no-color.org>).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_set(std::env::var_os("NO_COLOR").as_deref())
}

/// An empty variable counts as not set.
fn is_set(variable: Option<&std::ffi::OsStr>) -> bool {
    variable.is_some_and(|value| !value.is_empty())
}

/// A line on standard error that says what is being done. It is replaced at every step and gone in
/// the end; if standard error is not a terminal, nothing is written.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
}

/// Back to the beginning of the line, which is erased (ECMA-48, EL).
const ERASE: &str = "\r\x1b[K";

impl Progress {
    pub(crate) fn start() -> Self {
        Self { is_shown: stderr().is_terminal() }
    }

    /// Says what is being done now.
    pub(crate) fn step(&mut self, what: &str) {
        if self.is_shown {
            // Whoever closed standard error does not want to know.
            let _ = write!(stderr(), "{ERASE}{what} ...");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "{ERASE}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_no_color_is_none() {
        assert!(!is_set(None) && !is_set(Some("".as_ref())) && is_set(Some("1".as_ref())));
    }

    #[test]
    fn what_is_not_a_terminal_gets_no_colours() {
        assert!(!has_colours(&std::fs::File::open("/dev/null").unwrap()));
    }
}
