//! The lines between the guest and this program, each a pair of connected sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};

/// What a line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// What the kernel says: the first serial port.
    Console,
    /// To the command's standard input.
    Stdin,
    /// From the command's standard output, then [`END_OF_STREAM`].
    Stdout,
    /// From the command's standard error, then [`END_OF_STREAM`].
    Stderr,
    /// `up`, then `exit STATUS`, a line each.
    Verdict,
}

/// Ends what a command has written. A port has no end of file, and the verdict, on a line of its
/// own, may overtake output; so the output has to say where it ends.
pub(super) const END_OF_STREAM: &[u8] = b"\0end of stream\0";

impl Channel {
    pub(super) const ALL: [Self; 5] =
        [Self::Console, Self::Stdin, Self::Stdout, Self::Stderr, Self::Verdict];

    /// As QEMU names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Verdict => "verdict",
        }
    }

    /// The number N of /dev/vport*pN in the guest, for all but the console.
    pub(super) const fn port(self) -> Option<u8> {
        match self {
            Self::Console => None,
            Self::Stdin => Some(1),
            Self::Stdout => Some(2),
            Self::Stderr => Some(3),
            Self::Verdict => Some(4),
        }
    }
}

/// Our ends of the lines, one for each [`Channel`].
pub(super) struct Lines {
    pub(super) console: UnixStream,
    pub(super) stdin: UnixStream,
    pub(super) stdout: UnixStream,
    pub(super) stderr: UnixStream,
    pub(super) verdict: UnixStream,
}

/// The machine's ends, which a child process inherits. Ours end once these are closed here and the
/// child is gone.
pub(super) struct FarEnds([(Channel, UnixStream); 5]);

impl FarEnds {
    /// For the child's command line.
    pub(super) fn borrow(&self) -> Vec<(Channel, BorrowedFd<'_>)> {
        self.0.iter().map(|(channel, line)| (*channel, line.as_fd())).collect()
    }
}

/// Makes the lines.
pub(super) fn open() -> Result<(Lines, FarEnds)> {
    let pair = || {
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket")?;
        fcntl_setfd(&theirs, FdFlags::empty()).context("cannot hand a socket on")?;
        anyhow::Ok((ours, theirs))
    };
    let (console, stdin, stdout, stderr, verdict) = (pair()?, pair()?, pair()?, pair()?, pair()?);
    let far_ends = FarEnds([
        (Channel::Console, console.1),
        (Channel::Stdin, stdin.1),
        (Channel::Stdout, stdout.1),
        (Channel::Stderr, stderr.1),
        (Channel::Verdict, verdict.1),
    ]);
    let (console, stdin, stdout, stderr) = (console.0, stdin.0, stdout.0, stderr.0);
    Ok((Lines { console, stdin, stdout, stderr, verdict: verdict.0 }, far_ends))
}

/// Lets a stream through up to [`END_OF_STREAM`], however it is cut into pieces.
#[derive(Default)]
pub(super) struct UntilEnd {
    /// How much of the mark the last piece ended with.
    matched: usize,
}

impl UntilEnd {
    /// Appends to `through` what may pass; true at the end.
    pub(super) fn feed(&mut self, piece: &[u8], through: &mut Vec<u8>) -> bool {
        for &byte in piece {
            if byte != END_OF_STREAM[self.matched] {
                // What matched so far has the mark's first byte in front only, so it holds no
                // other start of a mark.
                through.extend_from_slice(&END_OF_STREAM[..self.matched]);
                self.matched = 0;
            }
            if byte == END_OF_STREAM[self.matched] {
                self.matched += 1;
            } else {
                through.push(byte);
            }
            if self.matched == END_OF_STREAM.len() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(stream: &[u8], size: usize) -> (Vec<u8>, bool) {
        let (mut until, mut through) = (UntilEnd::default(), Vec::new());
        let ended = stream.chunks(size).any(|piece| until.feed(piece, &mut through));
        (through, ended)
    }

    #[test]
    fn a_stream_ends_at_its_mark_however_it_is_cut() {
        let stream = [b"a\0b\0\0end of\n".as_slice(), END_OF_STREAM, b"more"].concat();
        for size in 1..=stream.len() {
            assert_eq!(
                cut(&stream, size),
                (b"a\0b\0\0end of\n".to_vec(), true),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn a_stream_without_its_mark_does_not_end() {
        assert_eq!(cut(b"text\0", 2), (b"text".to_vec(), false));
        assert_eq!(cut(b"text\0.", 2), (b"text\0.".to_vec(), false));
    }

    #[test]
    fn the_mark_starts_anew_only_with_its_first_byte() {
        let inner = &END_OF_STREAM[1..END_OF_STREAM.len() - 1];
        assert!(!inner.contains(&END_OF_STREAM[0]), "`feed` counts on it");
    }
}
