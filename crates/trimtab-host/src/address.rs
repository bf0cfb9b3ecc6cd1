//! The addresses of the node's interfaces.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use libc::{RTM_GETADDR, RTM_NEWADDR};
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, AddressScope,
};
use trimtab_core::Family;
use trimtab_netlink::{Batch, Error as NetlinkError, Socket, flags};

use crate::{Error, link};

/// How far an address is valid (`RT_SCOPE_*`, include/uapi/linux/rtnetlink.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everywhere.
    Universe,
    /// Inside a site.
    Site,
    /// On the link.
    Link,
    /// On this host.
    Host,
    /// A number without a name.
    Other(u8),
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's index.
    pub index: u32,
    /// The interface's name; empty if it went away while the two tables were read.
    pub interface: Arc<str>,
    /// The address itself, never its peer's.
    pub address: IpAddr,
    /// Length of its network's prefix.
    pub prefix_len: u8,
    /// How far it is valid.
    pub scope: Scope,
    /// `IFA_F_*` (include/uapi/linux/if_addr.h), asked by the methods.
    flags: AddressFlags,
}

impl InterfaceAddress {
    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Whether it is in 127.0.0.0/8 or is ::1, on any interface.
    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// Whether it is in 169.254.0.0/16 or fe80::/10. The first can be a node's only address; for
    /// NodePorts only the second does not count.
    pub fn is_link_local(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }

    /// Whether it cannot receive packets: duplicate address detection is in progress or has failed.
    pub fn is_tentative(&self) -> bool {
        self.flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
            && !self.flags.contains(AddressFlags::Optimistic)
    }

    /// Whether it is deprecated: not to be used for new connections.
    pub fn is_deprecated(&self) -> bool {
        self.flags.contains(AddressFlags::Deprecated)
    }

    /// Whether an older address of the same network comes first on its interface, or, with IPv6,
    /// whether it is a temporary address.
    pub fn is_secondary(&self) -> bool {
        self.flags.contains(AddressFlags::Secondary)
    }
}

/// Prints `eth0=10.0.0.10/24`.
impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.interface, self.address, self.prefix_len)
    }
}

/// All IPv4 and IPv6 addresses of this network namespace, with two dumps, however many interfaces
/// there are. They include those of the dummy interface, which can be recognised by its index.
///
/// `socket` must be of [`trimtab_netlink::Family::Route`], as everywhere in this crate unless
/// stated otherwise.
///
/// # Errors
/// [`Error::List`] when either table cannot be read.
pub fn list(socket: &mut Socket) -> Result<Vec<InterfaceAddress>, Error> {
    let failed = |source| Error::List { what: "addresses", source };
    let mut found = dump(socket, 0).map_err(failed)?;
    let names = link::names(socket).map_err(|source| Error::List { what: "interfaces", source })?;
    for address in &mut found {
        if let Some(name) = names.get(&address.index) {
            address.interface = Arc::clone(name);
        }
    }
    Ok(found)
}

/// The addresses of one interface, which the kernel picks out; none if there is no such interface (any
/// more). It costs the same however many addresses others have, the dummy interface above all.
///
/// # Errors
/// As [`list`].
pub fn list_of(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>, Error> {
    let failed = |source| Error::List { what: "interfaces", source };
    let Some(link) = link::with_index(socket, index).map_err(failed)? else {
        return Ok(Vec::new());
    };
    let name: Arc<str> = link.name.into();
    let mut found = match dump(socket, index) {
        Ok(found) => found,
        // It was deleted meanwhile.
        Err(source) if source.is_not_found() => return Ok(Vec::new()),
        Err(source) => return Err(Error::List { what: "addresses", source }),
    };
    for address in &mut found {
        address.interface = Arc::clone(&name);
    }
    Ok(found)
}

/// The addresses of interface `index`, or of all interfaces if it is 0; names are not filled in.
pub(crate) fn dump(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>, NetlinkError> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    let mut batch = Batch::new();
    batch.message(RTM_GETADDR, flags::REQUEST | flags::DUMP).emit(&message);
    let nameless: Arc<str> = Arc::from("");
    socket.dump(&mut batch, |found: &mut Vec<InterfaceAddress>, kind, payload| {
        if kind == RTM_NEWADDR
            && let Some(address) = decode(payload, &nameless)?
            // A kernel without strict checking returns all interfaces.
            && (index == 0 || address.index == index)
        {
            found.push(address);
        }
        Ok(())
    })
}

/// The address of a message about one, if it stands for itself alone, as a VIP does.
pub(crate) fn host_address(message: AddressMessage) -> Option<IpAddr> {
    let found = of(message, &Arc::from(""))?;
    (found.prefix_len == found.family().host_prefix()).then_some(found.address)
}

/// `None` for families other than IPv4 and IPv6: a dump of all families also contains MCTP, Phonet
/// and so on.
fn decode(payload: &[u8], name: &Arc<str>) -> Result<Option<InterfaceAddress>, NetlinkError> {
    let malformed = || NetlinkError::malformed("address");
    let header = AddressHeader::parse(payload).map_err(malformed())?;
    if !matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return Ok(None);
    }
    Ok(of(AddressMessage::parse(payload).map_err(malformed())?, name))
}

fn of(message: AddressMessage, name: &Arc<str>) -> Option<InterfaceAddress> {
    let header = message.header;
    let mut local = None;
    let mut peer = None;
    let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(address),
            AddressAttribute::Address(address) => peer = Some(address),
            AddressAttribute::Flags(all) => flags = all,
            _ => {}
        }
    }
    // On a point-to-point interface, IFA_ADDRESS is the peer's address and IFA_LOCAL is the
    // interface's own.
    local.or(peer).map(|address| InterfaceAddress {
        index: header.index,
        interface: Arc::clone(name),
        address,
        prefix_len: header.prefix_len,
        scope: match header.scope {
            AddressScope::Universe => Scope::Universe,
            AddressScope::Site => Scope::Site,
            AddressScope::Link => Scope::Link,
            AddressScope::Host => Scope::Host,
            other => Scope::Other(other.into()),
        },
        flags,
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use proptest::prelude::*;

    use super::*;

    fn encoded(family: AddressFamily, attributes: Vec<AddressAttribute>) -> Vec<u8> {
        let mut message = AddressMessage::default();
        message.header.family = family;
        message.header.prefix_len = 24;
        message.header.index = 3;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn decoded(family: AddressFamily, attributes: Vec<AddressAttribute>) -> InterfaceAddress {
        decode(&encoded(family, attributes), &Arc::from("eth0")).unwrap().unwrap()
    }

    #[test]
    fn the_address_is_our_side_of_a_point_to_point_link() {
        let ours: IpAddr = "192.0.2.1".parse().unwrap();
        let theirs: IpAddr = "192.0.2.2".parse().unwrap();
        let found = decoded(
            AddressFamily::Inet,
            vec![AddressAttribute::Address(theirs), AddressAttribute::Local(ours)],
        );
        assert_eq!(found.address, ours);
        assert_eq!(found.to_string(), "eth0=192.0.2.1/24");
    }

    #[test]
    fn wide_flags_take_the_place_of_the_headers() {
        let address = AddressAttribute::Address("fd00::1".parse().unwrap());
        let found = decoded(
            AddressFamily::Inet6,
            vec![address.clone(), AddressAttribute::Flags(AddressFlags::Tentative)],
        );
        assert!(found.is_tentative() && !found.is_deprecated());
        let optimistic = AddressFlags::Tentative | AddressFlags::Optimistic;
        let found = decoded(
            AddressFamily::Inet6,
            vec![address, AddressAttribute::Flags(optimistic | AddressFlags::Deprecated)],
        );
        assert!(!found.is_tentative() && found.is_deprecated());
    }

    #[test]
    fn other_families_are_passed_over_even_where_they_do_not_decode() {
        let bytes = encoded(
            AddressFamily::Mctp,
            vec![AddressAttribute::Other(netlink_packet_core::DefaultNla::new(2, vec![9]))],
        );
        assert_eq!(decode(&bytes, &Arc::from("mctp0")).unwrap(), None);
    }

    proptest! {
        #[test]
        fn damaged_addresses_are_errors_not_panics(
            cut in 0usize..40, at in 0usize..40, value in any::<u8>(),
        ) {
            let mut bytes = encoded(
                AddressFamily::Inet,
                vec![AddressAttribute::Local("192.0.2.1".parse().unwrap())],
            );
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes, &Arc::from(""));
        }
    }
}
