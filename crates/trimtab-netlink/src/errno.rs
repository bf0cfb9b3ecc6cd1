//! The kernel's error numbers.

use std::fmt;

/// A positive error number, as in `<errno.h>`; families may add their own above 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Whether the object does not exist.
    pub const fn is_not_found(self) -> bool {
        matches!(self.0, libc::ENOENT | libc::ESRCH | libc::ENODEV | libc::EADDRNOTAVAIL)
    }

    /// `ENOENT`: something that the request refers to is missing, not necessarily its object.
    pub const fn is_no_entry(self) -> bool {
        self.0 == libc::ENOENT
    }

    /// Whether the object already exists.
    pub const fn is_exists(self) -> bool {
        self.0 == libc::EEXIST
    }

    /// Whether the caller lacks a capability.
    pub const fn is_not_permitted(self) -> bool {
        matches!(self.0, libc::EPERM | libc::EACCES)
    }

    /// Whether the kernel temporarily lacks resources.
    pub const fn is_transient(self) -> bool {
        matches!(self.0, libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN | libc::EBUSY | libc::EINTR)
    }

    pub(crate) fn of(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Prints the system's text, such as `No such file or directory`, with the number.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(f)
    }
}
