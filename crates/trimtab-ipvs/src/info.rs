//! Settings of IPVS as a whole.

use std::fmt;

use crate::UnknownAttribute;

/// The kernel's information about its IPVS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version of the implementation, unchanged for many years.
    pub version: Version,
    /// Buckets of the connection table: 2 to the power of the module's parameter `conn_tab_bits` up
    /// to Linux 7.0; in later kernels the table starts small and grows.
    pub connection_table_size: u32,
    /// Attributes that this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

/// A version such as 1.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// First part.
    pub major: u8,
    /// Second part.
    pub minor: u8,
    /// Third part.
    pub patch: u8,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Seconds after which an idle connection expires.
///
/// When read, `None` is a protocol that the kernel was built without. When written, `None` and 0
/// leave the timeout as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: Option<u32>,
    /// TCP connections after a FIN.
    pub tcp_fin: Option<u32>,
    /// UDP.
    pub udp: Option<u32>,
}
