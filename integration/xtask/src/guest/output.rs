//! Where a command's standard output goes. Its standard error is always this program's.

use std::io::{self, Write};
use std::process::Stdio;

/// Where a command's standard output goes, live.
pub(crate) enum Output<'a> {
    /// This program's own; the command gets this program's standard input too.
    Inherit,
    /// A writer; the command's input is empty.
    To(&'a mut (dyn Write + Send)),
}

impl Output<'_> {
    pub(super) fn stdin(&self) -> Stdio {
        match self {
            Self::Inherit => Stdio::inherit(),
            Self::To(_) => Stdio::null(),
        }
    }

    pub(super) fn stdout(&self) -> Stdio {
        match self {
            Self::Inherit => Stdio::inherit(),
            Self::To(_) => Stdio::piped(),
        }
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Inherit => io::stdout().write(bytes),
            Self::To(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Inherit => io::stdout().flush(),
            Self::To(writer) => writer.flush(),
        }
    }
}
