//! The kernel's ipset commands.

use netlink_packet_core::NlasIterator;
use trimtab_core::{Family, SetElement, SetType};
use trimtab_netlink::{Batch, Error as NetlinkError, Socket, flags};

use super::ensure::SetSpec;
use super::header::Listed;
use super::wire::{self, Command, attr, data};
use super::{IpsetError, SetHeader, element};
use crate::applied::apply_each;
use crate::{Applied, Error};

/// The initial hash size of new sets, as in kube-proxy; the kernel doubles it as the set fills.
const HASH_SIZE: u32 = 1024;

/// The oldest and newest revision of a type that this client creates. The oldest supports SCTP.
/// Newer revisions of the kernel add nothing that we use, and would only prevent an older `ipset`
/// program, such as the one in a kube-proxy image, from reading the set.
const fn revisions(set_type: SetType) -> (u8, u8) {
    match set_type {
        SetType::HashIp => (0, 5),
        SetType::HashIpPort | SetType::HashIpPortIp => (1, 6),
        SetType::HashIpPortNet => (2, 8),
        SetType::BitmapPort => (0, 3),
    }
}

/// A set with its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its type and parameters.
    pub header: SetHeader,
    /// Its elements, in no particular order.
    pub elements: Vec<SetElement>,
    /// The number of elements that a [`SetElement`] cannot represent, such as ICMP types: they are
    /// not ours.
    pub others: usize,
}

/// A connection to the kernel's ipsets in the network namespace where it was opened.
#[derive(Debug)]
pub struct Client {
    pub(super) socket: Socket,
    pub(super) protocol: u8,
    /// The revision with which to create sets of each type, once known.
    revisions: Vec<((SetType, Family), u8)>,
}

impl Client {
    /// Opens a socket and negotiates the protocol version with the kernel, which loads its ipset
    /// module if necessary.
    ///
    /// # Errors
    /// [`Error::Ipset`] when the kernel has no ipsets or the caller lacks `CAP_NET_ADMIN`;
    /// [`Error::IpsetProtocol`] when it supports no common version.
    pub fn open() -> Result<Self, Error> {
        let failed = |source| Error::ipset("open", "ipset", source);
        let socket = Socket::open_echoing(trimtab_netlink::Family::Netfilter).map_err(failed)?;
        let mut client = Self { socket, protocol: wire::PROTOCOL, revisions: Vec::new() };
        let mut newest = 0;
        let mut oldest = None;
        let mut batch = Batch::new();
        wire::begin(&mut batch, Command::Protocol, flags::REQUEST, wire::PROTOCOL);
        client
            .socket
            .request(&mut batch, |_, payload| {
                each_byte(payload, |kind, value| match kind {
                    attr::PROTOCOL => newest = value,
                    attr::PROTOCOL_MIN => oldest = Some(value),
                    _ => {}
                })
            })
            .map_err(failed)?;
        let oldest = oldest.unwrap_or(newest);
        client.protocol = newest.min(wire::PROTOCOL);
        if client.protocol < oldest.max(wire::PROTOCOL_MIN) {
            return Err(Error::IpsetProtocol { oldest, newest });
        }
        Ok(client)
    }

    /// The names of all sets.
    ///
    /// # Errors
    /// [`Error::Ipset`].
    pub fn names(&mut self) -> Result<Vec<Box<str>>, Error> {
        self.read(None, wire::LIST_NAMES, "sets", |names: &mut Vec<Box<str>>, listed| {
            names.push(listed.name.into());
            Ok(())
        })
    }

    /// Type and parameters of all sets.
    ///
    /// # Errors
    /// [`Error::Ipset`].
    pub fn headers(&mut self) -> Result<Vec<SetHeader>, Error> {
        self.read(None, wire::LIST_HEADERS, "sets", |headers: &mut Vec<SetHeader>, listed| {
            headers.extend(listed.header);
            Ok(())
        })
    }

    /// Type and parameters of one set; `None` if there is no such set.
    ///
    /// # Errors
    /// [`Error::Ipset`].
    pub fn header(&mut self, set: &str) -> Result<Option<SetHeader>, Error> {
        let found = self.read(Some(set), wire::LIST_HEADERS, set, |header, listed| {
            if listed.header.is_some() {
                *header = listed.header;
            }
            Ok(())
        });
        match found {
            Err(Error::Ipset { source, .. }) if source.is_not_found() => Ok(None),
            other => other,
        }
    }

    /// A set with its elements; `None` if there is no such set.
    ///
    /// # Errors
    /// [`Error::Ipset`].
    pub fn list(&mut self, set: &str) -> Result<Option<Set>, Error> {
        let found = self.read(Some(set), 0, set, |found: &mut Option<Set>, mut listed| {
            if let Some(header) = listed.header.take() {
                let elements = header.elements.and_then(|count| usize::try_from(count).ok());
                let elements = Vec::with_capacity(elements.unwrap_or(0));
                *found = Some(Set { header, elements, others: 0 });
            }
            if let Some(set) = found {
                set.others += listed
                    .elements(&set.header, &mut set.elements)
                    .map_err(NetlinkError::malformed("element of a set"))?;
            }
            Ok(())
        });
        match found {
            Err(Error::Ipset { source, .. }) if source.is_not_found() => Ok(None),
            other => other,
        }
    }

    /// Creates sets. An existing one with the same parameters counts as done.
    ///
    /// # Errors
    /// [`Error::Send`] when the transport fails, [`Error::IpsetType`] or [`Error::Ipset`] when the
    /// kernel's revisions cannot be read; refused sets are in [`Applied`].
    pub fn create(&mut self, sets: &[SetSpec<'_>]) -> Result<Applied, Error> {
        let mut batch = Batch::new();
        for set in sets {
            self.encode_create(&mut batch, set, HASH_SIZE)?;
        }
        self.apply(&mut batch, "create", |index| sets[index].name)
    }

    pub(super) fn create_sized(&mut self, set: &SetSpec<'_>, hash_size: u32) -> Result<(), Error> {
        let mut batch = Batch::new();
        self.encode_create(&mut batch, set, hash_size.max(HASH_SIZE))?;
        self.apply(&mut batch, "create", |_| set.name)?.into_result()
    }

    /// Destroys sets. One that rules or other sets refer to is refused.
    ///
    /// # Errors
    /// [`Error::Send`] when the transport fails; refused sets are in [`Applied`].
    pub fn destroy(&mut self, sets: &[&str]) -> Result<Applied, Error> {
        self.each(Command::Destroy, "destroy", sets)
    }

    /// Removes all elements of sets.
    ///
    /// # Errors
    /// [`Error::Send`] when the transport fails; refused sets are in [`Applied`].
    pub fn flush(&mut self, sets: &[&str]) -> Result<Applied, Error> {
        self.each(Command::Flush, "flush", sets)
    }

    /// Renames a set.
    ///
    /// # Errors
    /// [`Error::Ipset`].
    pub fn rename(&mut self, set: &str, name: &str) -> Result<(), Error> {
        self.two(Command::Rename, "rename", set, name)
    }

    /// Swaps the names of two sets, atomically for packets and rules.
    ///
    /// # Errors
    /// [`Error::Ipset`], with [`IpsetError::is_type_mismatch`] if their types or families differ.
    pub fn swap(&mut self, set: &str, other: &str) -> Result<(), Error> {
        self.two(Command::Swap, "swap", set, other)
    }

    /// Whether an element is in a set.
    ///
    /// # Errors
    /// [`Error::IpsetElement`].
    pub fn test(&mut self, set: &str, element: SetElement) -> Result<bool, Error> {
        let mut batch = Batch::new();
        {
            let mut message = wire::begin(&mut batch, Command::Test, flags::REQUEST, self.protocol);
            message.attribute_text(attr::SETNAME, set);
            element::encode(&mut message, &element, 0);
        }
        match self.socket.request(&mut batch, |_, _| Ok(())).map_err(IpsetError::new) {
            Ok(()) => Ok(true),
            Err(source) if source.is_repeat() => Ok(false),
            Err(source) => Err(Error::element("test", set, element, source)),
        }
    }

    fn encode_create(
        &mut self,
        batch: &mut Batch,
        set: &SetSpec<'_>,
        hash_size: u32,
    ) -> Result<(), Error> {
        let revision = self.revision(set.set_type, set.family)?;
        let mut message = wire::begin(batch, Command::Create, flags::REQUEST, self.protocol);
        message.attribute_text(attr::SETNAME, set.name);
        message.attribute_text(attr::TYPENAME, set.set_type.name());
        message.attribute_u8(attr::REVISION, revision);
        message.attribute_u8(attr::FAMILY, wire::family_number(set.set_type, set.family));
        message.nested(attr::DATA, |parameters| {
            if set.set_type == SetType::BitmapPort {
                parameters.attribute_net(data::PORT, &0u16.to_be_bytes());
                parameters.attribute_net(data::PORT_TO, &u16::MAX.to_be_bytes());
            } else {
                parameters.attribute_net(data::HASHSIZE, &hash_size.to_be_bytes());
                parameters.attribute_net(data::MAXELEM, &set.max_elements.to_be_bytes());
            }
            if set.marks {
                parameters.attribute_net(data::CADT_FLAGS, &wire::WITH_SKBINFO.to_be_bytes());
            }
        });
        Ok(())
    }

    /// The newest revision of a type that both sides support; the query makes the kernel load the
    /// type's module.
    fn revision(&mut self, set_type: SetType, family: Family) -> Result<u8, Error> {
        if let Some((_, revision)) =
            self.revisions.iter().find(|(known, _)| *known == (set_type, family))
        {
            return Ok(*revision);
        }
        let mut newest = 0;
        let mut oldest = 0;
        let mut batch = Batch::new();
        {
            let mut message = wire::begin(&mut batch, Command::Type, flags::REQUEST, self.protocol);
            message.attribute_text(attr::TYPENAME, set_type.name());
            message.attribute_u8(attr::FAMILY, wire::family_number(set_type, family));
        }
        self.socket
            .request(&mut batch, |_, payload| {
                each_byte(payload, |kind, value| match kind {
                    attr::REVISION => newest = value,
                    attr::REVISION_MIN => oldest = value,
                    _ => {}
                })
            })
            .map_err(|source| Error::ipset("ask for type", set_type.name(), source))?;
        let (our_oldest, our_newest) = revisions(set_type);
        let revision = newest.min(our_newest);
        if revision < oldest.max(our_oldest) {
            return Err(Error::IpsetType { set_type, oldest, newest });
        }
        self.revisions.push(((set_type, family), revision));
        Ok(revision)
    }

    fn each(
        &mut self,
        command: Command,
        step: &'static str,
        sets: &[&str],
    ) -> Result<Applied, Error> {
        let mut batch = Batch::new();
        for set in sets {
            // Without EXCL, newer kernels report success for destroying a missing set.
            wire::begin(&mut batch, command, flags::REQUEST | flags::EXCL, self.protocol)
                .attribute_text(attr::SETNAME, set);
        }
        self.apply(&mut batch, step, |index| sets[index])
    }

    fn two(
        &mut self,
        command: Command,
        step: &'static str,
        set: &str,
        other: &str,
    ) -> Result<(), Error> {
        let mut batch = Batch::new();
        {
            let mut message = wire::begin(&mut batch, command, flags::REQUEST, self.protocol);
            message.attribute_text(attr::SETNAME, set);
            message.attribute_text(attr::SETNAME2, other);
        }
        self.apply(&mut batch, step, |_| set)?.into_result()
    }

    fn apply<'a>(
        &mut self,
        batch: &mut Batch,
        step: &'static str,
        name: impl Fn(usize) -> &'a str,
    ) -> Result<Applied, Error> {
        apply_each(
            &mut self.socket,
            batch,
            |_| false,
            |index, source| Error::ipset(step, name(index), source),
        )
        .map_err(|source| Error::Send { what: "ipset commands", source })
    }

    fn read<T: Default>(
        &mut self,
        set: Option<&str>,
        leave_out: u32,
        what: &str,
        mut visit: impl FnMut(&mut T, Listed<'_>) -> Result<(), NetlinkError>,
    ) -> Result<T, Error> {
        let mut batch = Batch::new();
        {
            let all = flags::REQUEST | flags::DUMP;
            let mut message = wire::begin(&mut batch, Command::List, all, self.protocol);
            if let Some(set) = set {
                message.attribute_text(attr::SETNAME, set);
            }
            if leave_out != 0 {
                message.attribute_net(attr::FLAGS, &leave_out.to_be_bytes());
            }
        }
        self.socket
            .dump(&mut batch, |found, _, payload| {
                let listed =
                    Listed::decode(payload).map_err(NetlinkError::malformed("listing of a set"))?;
                visit(found, listed)
            })
            .map_err(|source| Error::ipset("list", what, source))
    }
}

/// Prints the one-byte attributes of an answer.
fn each_byte(payload: &[u8], mut visit: impl FnMut(u16, u8)) -> Result<(), NetlinkError> {
    for attribute in NlasIterator::new(payload.get(wire::HEADER..).unwrap_or(&[])) {
        let attribute = attribute.map_err(NetlinkError::malformed("ipset answer"))?;
        if let [value] = attribute.value() {
            visit(attribute.kind(), *value);
        }
    }
    Ok(())
}
