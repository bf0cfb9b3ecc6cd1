//! The result of reading a table.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::IpAddr;

use trimtab_core::{Frontend, RealServerKey};

/// The entries of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries, each once, in the kernel's order.
    pub entries: Vec<T>,
    /// Well-formed entries that cannot be represented; they belong to other programs.
    pub unsupported: Vec<Unsupported>,
    /// Whether the kernel rearranged the table during every attempt to read it, so that entries
    /// may be missing; see [`Client::virtual_servers`](crate::Client::virtual_servers).
    pub disturbed: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), unsupported: Vec::new(), disturbed: false }
    }
}

/// Up to this many entries are compared with each other instead of hashed.
const FEW: usize = 16;

impl<T> Listing<T> {
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.unsupported.clear();
    }

    /// Drops later entries with the key of an earlier one; returns how many.
    ///
    /// The kernel continues a listing by position (ip_vs_genl_dump_services,
    /// net/netfilter/ipvs/ip_vs_ctl.c): entries added before that position shift listed ones behind
    /// it, and a table that grows moves all entries.
    pub(crate) fn keep_first_by<K: Copy + Eq + Hash>(&mut self, key: impl Fn(&T) -> K) -> usize {
        let entries = &mut self.entries;
        let before = entries.len();
        if entries.len() > FEW {
            let mut seen = HashSet::with_capacity(entries.len());
            entries.retain(|entry| seen.insert(key(entry)));
        } else {
            let mut next = 1;
            while next < entries.len() {
                let (earlier, rest) = entries.split_at(next);
                if earlier.iter().any(|entry| key(entry) == key(&rest[0])) {
                    entries.remove(next);
                } else {
                    next += 1;
                }
            }
        }
        before - entries.len()
    }
}

impl<T> IntoIterator for Listing<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// An object in the kernel that [`trimtab_core`] cannot represent. The kernel accepts such objects
/// over netlink; `ipvsadm` does not create them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// An address family other than IPv4 and IPv6.
    #[error("address family {0} is neither IPv4 nor IPv6")]
    Family(u16),
    /// A virtual server of a protocol other than TCP, UDP and SCTP.
    #[error("virtual server {address} port {port}: protocol {number} is not TCP, UDP or SCTP")]
    Protocol {
        /// Number in the IP header.
        number: u16,
        /// The VIP.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// A scheduler whose name no scheduler can have.
    #[error("virtual server {frontend}: {name:?} cannot be the name of a scheduler")]
    Scheduler {
        /// Which virtual server.
        frontend: Frontend,
        /// The name.
        name: Box<str>,
    },
    /// A forwarding method without a meaning.
    #[error("real server {server}: no forwarding method has the number {number}")]
    Forwarding {
        /// Which real server.
        server: RealServerKey,
        /// `IP_VS_CONN_F_FWD_MASK`'s part of its flags.
        number: u32,
    },
    /// An encapsulation of a later kernel.
    #[error("real server {server}: no known encapsulation has the number {number}")]
    Tunnel {
        /// Which real server.
        server: RealServerKey,
        /// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
        number: u8,
    },
    /// A sync daemon that is neither master nor backup.
    #[error("sync daemon in state {0}: neither master nor backup")]
    SyncRole(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_listed_once_whatever_the_length_of_the_list() {
        for length in [0u32, 1, 2, 16, 17, 1000] {
            let once: Vec<u32> = (0..length).collect();
            let entries = once.iter().flat_map(|n| [*n, n / 2]).collect();
            let mut listing = Listing { entries, ..Listing::default() };
            assert_eq!(listing.keep_first_by(|entry| *entry), once.len());
            assert_eq!(listing.entries, once, "{length} entries");
        }
    }
}
