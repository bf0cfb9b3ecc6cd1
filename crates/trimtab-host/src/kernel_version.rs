//! The version of the running kernel.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// A kernel's version, as far as features depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl KernelVersion {
    /// A version from its numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The version in `sys/kernel/osrelease` below `proc`, which is `/proc` except in tests.
    ///
    /// # Errors
    /// [`Error::KernelVersion`] when there is none.
    pub fn read(proc: &Path) -> Result<Self, Error> {
        let path = proc.join("sys/kernel/osrelease");
        let unknown = |text: &str| Error::KernelVersion {
            path: path.clone().into_boxed_path(),
            text: text.trim().into(),
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unknown(&error.to_string()))?;
        text.parse().map_err(|NotAVersion| unknown(&text))
    }
}

/// Prints `6.1`.
impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// If the text does not begin with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a kernel version: expected two numbers, such as 6.1")]
pub struct NotAVersion;

/// Parses a release such as `6.1.0-18-amd64`; distributions append various suffixes after the
/// second number.
impl FromStr for KernelVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, rest) = text.trim().split_once('.').ok_or(NotAVersion)?;
        let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        Ok(Self {
            major: major.parse().map_err(|_| NotAVersion)?,
            minor: rest[..end].parse().map_err(|_| NotAVersion)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        for (release, major, minor) in [
            ("6.1.0-18-amd64\n", 6, 1),
            ("4.18.0-553.el8_10.x86_64", 4, 18),
            ("5.10+", 5, 10),
            ("7.2.13", 7, 2),
            ("6.8-rc1", 6, 8),
        ] {
            assert_eq!(release.parse(), Ok(KernelVersion::new(major, minor)), "{release}");
        }
        for text in ["", "6", "6.", "six.one", ".1", "-6.1"] {
            assert_eq!(text.parse::<KernelVersion>(), Err(NotAVersion), "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(KernelVersion::new(5, 9) < KernelVersion::new(5, 10));
        assert!(KernelVersion::new(4, 19) < KernelVersion::new(5, 0));
    }
}
