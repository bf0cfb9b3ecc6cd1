//! The kernel's constants (include/uapi/linux/netfilter/ipset/ip_set.h, nfnetlink.h).

use trimtab_core::{Family, SetType};
use trimtab_netlink::{Batch, Builder};

/// `NFNL_SUBSYS_IPSET`
const SUBSYSTEM: u16 = 6;
/// `IPSET_PROTOCOL`, the newest version that this client supports, and `IPSET_PROTOCOL_MIN`.
pub(super) const PROTOCOL: u8 = 7;
pub(super) const PROTOCOL_MIN: u8 = 6;
/// `IPSET_MAXNAMELEN` with its final NUL.
pub(super) const NAME_LENGTH: usize = 32;
/// `sizeof(struct nfgenmsg)`
pub(super) const HEADER: usize = 4;

/// `enum ipset_cmd`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Command {
    Protocol = 1,
    Create = 2,
    Destroy = 3,
    Flush = 4,
    Rename = 5,
    Swap = 6,
    List = 7,
    Add = 9,
    Delete = 10,
    Test = 11,
    Type = 13,
}

impl Command {
    pub(super) const fn kind(self) -> u16 {
        SUBSYSTEM << 8 | self as u16
    }
}

/// Attributes of a message.
pub(super) mod attr {
    pub(in super::super) const PROTOCOL: u16 = 1;
    pub(in super::super) const SETNAME: u16 = 2;
    pub(in super::super) const TYPENAME: u16 = 3;
    pub(in super::super) const SETNAME2: u16 = 3;
    pub(in super::super) const REVISION: u16 = 4;
    pub(in super::super) const FAMILY: u16 = 5;
    pub(in super::super) const FLAGS: u16 = 6;
    pub(in super::super) const DATA: u16 = 7;
    pub(in super::super) const ADT: u16 = 8;
    /// The number of the refused element; the same attribute in a message and in an element.
    pub(in super::super) const LINENO: u16 = 9;
    pub(in super::super) const PROTOCOL_MIN: u16 = 10;
    pub(in super::super) const REVISION_MIN: u16 = 10;
}

/// Attributes of a set's parameters or of an element, inside `attr::DATA`.
pub(super) mod data {
    pub(in super::super) const IP: u16 = 1;
    pub(in super::super) const PORT: u16 = 4;
    pub(in super::super) const PORT_TO: u16 = 5;
    pub(in super::super) const TIMEOUT: u16 = 6;
    pub(in super::super) const PROTO: u16 = 7;
    pub(in super::super) const CADT_FLAGS: u16 = 8;
    pub(in super::super) const HASHSIZE: u16 = 18;
    pub(in super::super) const MAXELEM: u16 = 19;
    pub(in super::super) const IP2: u16 = 20;
    pub(in super::super) const CIDR2: u16 = 21;
    pub(in super::super) const ELEMENTS: u16 = 24;
    pub(in super::super) const REFERENCES: u16 = 25;
    /// `IPSET_ATTR_SKBMARK`: a mark and its mask, 32 bits each.
    pub(in super::super) const SKBMARK: u16 = 27;
    pub(in super::super) const IPADDR_IPV4: u16 = 1;
    pub(in super::super) const IPADDR_IPV6: u16 = 2;
}

/// `IPSET_FLAG_LIST_SETNAME`, `IPSET_FLAG_LIST_HEADER`: leave out all but the names; the elements.
pub(super) const LIST_NAMES: u32 = 1 << 1;
pub(super) const LIST_HEADERS: u32 = 1 << 2;
/// `IPSET_FLAG_NOMATCH`: an exception from the other elements of a set.
pub(super) const NOMATCH: u32 = 1 << 2;

/// `IPSET_FLAG_WITH_SKBINFO`: the elements of a set have marks. (The flags below it are counters, 3,
/// comments, 4, and forced additions, 5.)
pub(super) const WITH_SKBINFO: u32 = 1 << 6;

/// `NFPROTO_*` (include/uapi/linux/netfilter.h); a port bitmap is of no family.
pub(super) const fn family_number(set_type: SetType, family: Family) -> u8 {
    match (set_type, family) {
        (SetType::BitmapPort, _) => 0,
        (_, Family::V4) => 2,
        (_, Family::V6) => 10,
    }
}

/// Begins a message: netfilter's header and the protocol version.
pub(super) fn begin(batch: &mut Batch, command: Command, flags: u16, protocol: u8) -> Builder<'_> {
    let mut message = batch.message(command.kind(), flags);
    // struct nfgenmsg: family, version and resource; ipset ignores all of them.
    message.put(&[0; HEADER]);
    message.attribute_u8(attr::PROTOCOL, protocol);
    message
}
