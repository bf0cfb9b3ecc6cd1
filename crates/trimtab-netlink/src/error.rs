//! Errors of a netlink socket.

use netlink_packet_core::DecodeError;

use crate::Errno;

/// A failed step of the transport, or an error from the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket could not be opened or set up.
    #[error("cannot open a netlink socket for {family}: {step}: {source}")]
    Open {
        /// Netlink family, such as `generic`.
        family: &'static str,
        /// Which call failed.
        step: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// Messages could not be handed to the kernel.
    #[error("cannot send {messages} netlink messages ({bytes} bytes): {source}")]
    Send {
        /// How many messages the refused system call held.
        messages: usize,
        /// Their size.
        bytes: usize,
        /// The system's error.
        source: std::io::Error,
    },
    /// An answer could not be read.
    #[error("cannot read a netlink answer: {0}")]
    Receive(#[source] std::io::Error),
    /// The kernel did not answer. It answers at once or never.
    #[error("the kernel gave no answer to a {0}")]
    NoAnswer(&'static str),
    /// An answer was longer than the receive buffer.
    #[error("a netlink answer of {0} bytes does not fit the receive buffer")]
    TooLong(usize),
    /// A malformed answer.
    #[error("malformed {what} from the kernel: {source}")]
    Malformed {
        /// Which message or attribute.
        what: &'static str,
        /// Where decoding stopped.
        source: DecodeError,
    },
    /// The kernel refused a request.
    #[error("the kernel refused: {0}")]
    Refused(Refusal),
    /// A table kept changing while it was read.
    #[error("the table changed during each of {0} attempts to read it")]
    Interrupted(u32),
}

impl Error {
    /// The kernel's error number, where one is known.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open { source, .. } | Self::Send { source, .. } | Self::Receive(source) => {
                Some(Errno::of(source))
            }
            Self::Refused(refusal) => Some(refusal.errno),
            _ => None,
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.errno().is_some_and(Errno::is_not_found)
    }

    /// Whether the object already exists.
    pub fn is_exists(&self) -> bool {
        self.errno().is_some_and(Errno::is_exists)
    }

    /// A capability is missing.
    pub fn is_not_permitted(&self) -> bool {
        self.errno().is_some_and(Errno::is_not_permitted)
    }

    /// Whether the transport failed, so that it is unknown what the kernel received or answered.
    pub(crate) fn is_of_transport(&self) -> bool {
        matches!(self, Self::Send { .. } | Self::Receive(_) | Self::NoAnswer(_) | Self::TooLong(_))
    }

    /// For use with `map_err` on a decoder's result.
    pub fn malformed(what: &'static str) -> impl FnOnce(DecodeError) -> Self {
        move |source| Self::Malformed { what, source }
    }
}

/// The kernel's refusal of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, as a number.
    pub errno: Errno,
    /// The kernel's message, if there is one (`NLMSGERR_ATTR_MSG`).
    pub text: Option<Box<str>>,
    /// What followed the header of the refused message, as far as the kernel echoed it; only
    /// sockets opened with [`Socket::open_echoing`](crate::Socket::open_echoing) get any.
    pub echo: Box<[u8]>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.errno.fmt(f)?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}
