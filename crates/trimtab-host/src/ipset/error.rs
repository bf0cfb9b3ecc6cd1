//! The kernel's ipset errors.

use std::fmt;

use trimtab_netlink::Error as NetlinkError;

/// `enum ipset_errno` and its type-specific part
/// (include/uapi/linux/netfilter/ipset/ip_set.h, ip_set_hash.h, ip_set_bitmap.h).
mod code {
    pub(super) const PROTOCOL: i32 = 4097;
    pub(super) const FIND_TYPE: i32 = 4098;
    pub(super) const MAX_SETS: i32 = 4099;
    pub(super) const BUSY: i32 = 4100;
    pub(super) const EXIST_SETNAME2: i32 = 4101;
    pub(super) const TYPE_MISMATCH: i32 = 4102;
    pub(super) const EXIST: i32 = 4103;
    pub(super) const INVALID_CIDR: i32 = 4104;
    pub(super) const INVALID_FAMILY: i32 = 4106;
    pub(super) const REFERENCED: i32 = 4108;
    pub(super) const IPADDR_IPV4: i32 = 4109;
    pub(super) const IPADDR_IPV6: i32 = 4110;
    /// `IPSET_ERR_HASH_FULL` of hash sets, `IPSET_ERR_BITMAP_RANGE` of bitmaps.
    pub(super) const FULL: i32 = 4352;
    pub(super) const HASH_ELEM: i32 = 4353;
    pub(super) const INVALID_PROTO: i32 = 4354;
}

/// A failed ipset request. ipset has error numbers of its own, above 4096.
#[derive(Debug)]
pub struct IpsetError(NetlinkError);

impl IpsetError {
    pub(crate) const fn new(source: NetlinkError) -> Self {
        Self(source)
    }

    /// The underlying transport error.
    pub const fn netlink(&self) -> &NetlinkError {
        &self.0
    }

    /// Whether the set does not exist.
    pub fn is_not_found(&self) -> bool {
        self.0.is_not_found()
    }

    /// Whether a set with this name and other parameters exists.
    pub fn is_exists(&self) -> bool {
        self.0.is_exists() || self.is(code::EXIST_SETNAME2)
    }

    /// Whether the element already existed when it was added, or was missing when it was deleted or
    /// tested.
    pub fn is_repeat(&self) -> bool {
        self.is(code::EXIST)
    }

    /// Whether the set is full, or its bitmap ends before the port: a larger set would accept the
    /// element.
    pub fn is_full(&self) -> bool {
        self.is(code::FULL)
    }

    /// Whether the two sets cannot be swapped.
    pub fn is_type_mismatch(&self) -> bool {
        self.is(code::TYPE_MISMATCH)
    }

    /// Whether a rule or another set refers to the set.
    pub fn is_busy(&self) -> bool {
        self.is(code::BUSY) || self.is(code::REFERENCED)
    }

    /// Whether the kernel lacks the set type, or this revision of it.
    pub fn is_unknown_type(&self) -> bool {
        self.is(code::FIND_TYPE)
    }

    /// Whether a capability is missing.
    pub fn is_not_permitted(&self) -> bool {
        self.0.is_not_permitted()
    }

    fn is(&self, code: i32) -> bool {
        self.number() == Some(code)
    }

    fn number(&self) -> Option<i32> {
        self.0.errno().map(|errno| errno.0)
    }
}

impl fmt::Display for IpsetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.number() {
            Some(libc::ENOENT) => "there is no such set",
            Some(libc::EEXIST) => "a set with this name and other parameters exists",
            Some(code::PROTOCOL) => "the kernel could not read the request",
            Some(code::FIND_TYPE) => "the kernel has no such type of set",
            Some(code::MAX_SETS) => "the kernel holds as many sets as it can",
            Some(code::BUSY | code::REFERENCED) => "a rule or another set refers to the set",
            Some(code::EXIST_SETNAME2) => "a set with the new name exists",
            Some(code::TYPE_MISMATCH) => "the sets are of types that cannot replace each other",
            Some(code::EXIST) => "the element already exists, or does not exist",
            Some(code::INVALID_CIDR) => "the network's prefix length is not one the set can hold",
            Some(code::INVALID_FAMILY) => "the set's type does not exist in this family",
            Some(code::IPADDR_IPV4) => "the set holds IPv4 addresses",
            Some(code::IPADDR_IPV6) => "the set holds IPv6 addresses",
            Some(code::FULL) => "the set is full, or the port is outside its range",
            Some(code::HASH_ELEM) => "the set cannot hold this element",
            Some(code::INVALID_PROTO) => "the set cannot hold this protocol",
            _ => return self.0.fmt(f),
        };
        f.write_str(text)
    }
}

impl std::error::Error for IpsetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use trimtab_netlink::{Errno, Refusal};

    use super::*;

    fn refused(errno: i32) -> IpsetError {
        let refusal = Refusal { errno: Errno(errno), text: None, echo: Box::default() };
        IpsetError::new(NetlinkError::Refused(refusal))
    }

    #[test]
    fn private_numbers_answer_questions_and_speak_plainly() {
        assert!(refused(4352).is_full() && !refused(4352).is_repeat());
        assert!(refused(4103).is_repeat());
        assert!(refused(4102).is_type_mismatch());
        assert!(refused(4100).is_busy());
        assert!(refused(libc::ENOENT).is_not_found());
        assert_eq!(refused(4100).to_string(), "a rule or another set refers to the set");
        assert!(refused(libc::EPERM).is_not_permitted());
        assert!(refused(libc::EPERM).to_string().contains("not permitted"));
    }
}
