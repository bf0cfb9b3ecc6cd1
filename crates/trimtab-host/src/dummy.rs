//! The dummy interface that carries the VIPs.
//!
//! An address on an interface, even one that is down, makes its packets local, and IPVS takes local
//! packets. The interface is never brought up: then the kernel neither answers ARP for its
//! addresses through it nor adds routes for them beyond the local ones.

use std::net::IpAddr;

use libc::{EADDRNOTAVAIL, ENXIO, RTM_DELADDR, RTM_NEWADDR};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use trimtab_core::Family;
use trimtab_netlink::{Batch, Errno, Socket, flags};

use crate::applied::apply_each;
use crate::{Applied, Error, address, link};

/// The kernel's name of the driver of dummy interfaces (drivers/net/dummy.c).
const KIND: &str = "dummy";

/// An existing dummy interface. Its index is valid until the interface is deleted: then every
/// change fails with "no such device", and [`ensure`] creates a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dummy {
    index: u32,
}

/// The dummy interface with this name (see [`trimtab_core::DUMMY_INTERFACE`]), if there is one.
///
/// # Errors
/// [`Error::NotDummy`] if an interface of another kind has the name, [`Error::Link`] if the kernel
/// cannot be queried.
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<Dummy>, Error> {
    let found = link::find(socket, name).map_err(|source| Error::link("look up", name, source))?;
    match found {
        None => Ok(None),
        Some(link) if link.kind.as_deref() == Some(KIND) => Ok(Some(Dummy { index: link.index })),
        Some(link) => Err(Error::NotDummy {
            name: name.into(),
            kind: link.kind.map_or_else(|| "a physical or built-in".into(), String::into_boxed_str),
        }),
    }
}

/// The dummy interface with this name, created if it is missing.
///
/// # Errors
/// As [`find`].
pub fn ensure(socket: &mut Socket, name: &str) -> Result<Dummy, Error> {
    if let Some(dummy) = find(socket, name)? {
        return Ok(dummy);
    }
    match link::create_dummy(socket, name) {
        Err(source) if !source.is_exists() => return Err(Error::link("create", name, source)),
        Ok(()) | Err(_) => {}
    }
    find(socket, name)?.ok_or_else(|| Error::Vanished(name.into()))
}

/// The dummy interface with this name after somebody touched it: `last`, which it was, gets its name
/// back if it has another one; otherwise as [`ensure`].
///
/// # Errors
/// As [`find`].
pub fn restore(socket: &mut Socket, name: &str, last: Dummy) -> Result<Dummy, Error> {
    if find(socket, name)?.is_none() {
        let there = link::with_index(socket, last.index);
        let there = there.map_err(|source| Error::link("look up", name, source))?;
        if there.is_some_and(|link| link.kind.as_deref() == Some(KIND)) {
            // Somebody may be faster, or it may be gone again: then there is a new one.
            let _ = link::rename(socket, last.index, name);
        }
    }
    ensure(socket, name)
}

impl Dummy {
    /// The interface's index.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Its addresses of both families, those that the kernel added itself left out.
    ///
    /// # Errors
    /// [`Error::List`].
    pub fn addresses(self, socket: &mut Socket) -> Result<Vec<IpAddr>, Error> {
        let found = address::dump(socket, self.index)
            .map_err(|source| Error::List { what: "addresses of the dummy interface", source })?;
        Ok(found
            .into_iter()
            .filter(|found| found.prefix_len == found.family().host_prefix())
            .map(|found| found.address)
            .collect())
    }

    /// Adds addresses, as /32 or /128; an existing one counts as done. IPv6 addresses are usable at
    /// once, without duplicate address detection: the interface has no neighbours.
    ///
    /// # Errors
    /// [`Error::Send`] when the transport fails; refused addresses are in [`Applied`].
    pub fn add(self, socket: &mut Socket, addresses: &[IpAddr]) -> Result<Applied, Error> {
        let kind = RTM_NEWADDR;
        let all = flags::REQUEST | flags::CREATE | flags::EXCL;
        self.change(socket, "add", kind, all, addresses, Errno::is_exists)
    }

    /// Deletes addresses; a missing one counts as done.
    ///
    /// # Errors
    /// As [`Dummy::add`].
    pub fn delete(self, socket: &mut Socket, addresses: &[IpAddr]) -> Result<Applied, Error> {
        self.change(socket, "delete", RTM_DELADDR, flags::REQUEST, addresses, |errno| {
            matches!(errno.0, EADDRNOTAVAIL | ENXIO)
        })
    }

    /// Deletes the interface with all its addresses; a missing one counts as done.
    ///
    /// # Errors
    /// [`Error::Link`].
    pub fn destroy(self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        match link::delete(socket, self.index) {
            Err(source) if !source.is_not_found() => Err(Error::link("delete", name, source)),
            _ => Ok(()),
        }
    }

    fn change(
        self,
        socket: &mut Socket,
        step: &'static str,
        kind: u16,
        message_flags: u16,
        addresses: &[IpAddr],
        is_fine: impl Fn(Errno) -> bool,
    ) -> Result<Applied, Error> {
        let mut batch = Batch::new();
        let mut message = AddressMessage::default();
        message.header.index = self.index;
        for &address in addresses {
            let family = Family::of(address);
            message.header.prefix_len = family.host_prefix();
            (message.header.family, message.header.flags) = match family {
                Family::V4 => (AddressFamily::Inet, AddressHeaderFlags::empty()),
                Family::V6 => (AddressFamily::Inet6, AddressHeaderFlags::Nodad),
            };
            message.attributes.clear();
            message.attributes.push(AddressAttribute::Local(address));
            batch.message(kind, message_flags).emit(&message);
        }
        apply_each(socket, &mut batch, is_fine, |index, source| Error::Address {
            step,
            address: addresses[index],
            source,
        })
        .map_err(|source| Error::Send { what: "addresses", source })
    }
}
