//! Looks up, creates and deletes network interfaces over rtnetlink.

use std::collections::HashMap;
use std::sync::Arc;

use libc::{RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK};
use netlink_packet_core::{NlasIterator, parse_string};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkHeader, LinkInfo, LinkMessage,
};
use trimtab_netlink::{Batch, Error, Socket, flags};

/// `IFLA_IFNAME`, `IFLA_LINKINFO` and, in the latter, `IFLA_INFO_KIND`
/// (include/uapi/linux/if_link.h).
const NAME: u16 = 3;
const INFO: u16 = 18;
const INFO_KIND: u16 = 1;
/// Length of `struct ifinfomsg` (include/uapi/linux/rtnetlink.h).
const HEADER: usize = 16;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The driver's name, such as `dummy`; physical interfaces have none.
    pub(crate) kind: Option<String>,
}

/// The interface with this name, if there is one.
pub(crate) fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![without_statistics(), LinkAttribute::IfName(name.to_owned())];
    get(socket, &message)
}

/// The interface with this number, if there is one.
pub(crate) fn with_index(socket: &mut Socket, index: u32) -> Result<Option<Link>, Error> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![without_statistics()];
    get(socket, &message)
}

fn get(socket: &mut Socket, message: &LinkMessage) -> Result<Option<Link>, Error> {
    let mut batch = Batch::new();
    batch.message(RTM_GETLINK, flags::REQUEST).emit(message);
    let mut found = None;
    let answer = socket.request(&mut batch, |kind, payload| {
        if kind == RTM_NEWLINK {
            found = Some(decode(payload)?);
        }
        Ok(())
    });
    match answer {
        Ok(()) => Ok(found),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a dummy interface and leaves it down.
pub(crate) fn create_dummy(socket: &mut Socket, name: &str) -> Result<(), Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]),
    ];
    let mut batch = Batch::new();
    batch.message(RTM_NEWLINK, flags::REQUEST | flags::CREATE | flags::EXCL).emit(&message);
    socket.request(&mut batch, |_, _| Ok(()))
}

/// Gives an interface another name; the kernel refuses while it is up, before Linux 6.2.
pub(crate) fn rename(socket: &mut Socket, index: u32, name: &str) -> Result<(), Error> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    let mut batch = Batch::new();
    batch.message(RTM_NEWLINK, flags::REQUEST).emit(&message);
    socket.request(&mut batch, |_, _| Ok(()))
}

/// Deletes an interface with all its addresses.
pub(crate) fn delete(socket: &mut Socket, index: u32) -> Result<(), Error> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let mut batch = Batch::new();
    batch.message(RTM_DELLINK, flags::REQUEST).emit(&message);
    socket.request(&mut batch, |_, _| Ok(()))
}

/// The names of all interfaces by index.
pub(crate) fn names(socket: &mut Socket) -> Result<HashMap<u32, Arc<str>>, Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![without_statistics()];
    let mut batch = Batch::new();
    batch.message(RTM_GETLINK, flags::REQUEST | flags::DUMP).emit(&message);
    socket.dump(&mut batch, |names: &mut HashMap<u32, Arc<str>>, kind, payload| {
        if kind == RTM_NEWLINK {
            let link = decode(payload)?;
            names.insert(link.index, link.name.into());
        }
        Ok(())
    })
}

/// Skips statistics, which would be most of the answer; a node has an interface per pod.
fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

/// Reads only what [`Link`] holds: decoding the hundred other attributes of an interface costs time,
/// and each could fail on a kernel newer than the decoder.
fn decode(payload: &[u8]) -> Result<Link, Error> {
    let malformed = || Error::malformed("interface");
    let header = LinkHeader::parse(payload).map_err(malformed())?;
    let mut link = Link { index: header.index, name: String::new(), kind: None };
    for attribute in NlasIterator::new(payload.get(HEADER..).unwrap_or(&[])) {
        let attribute = attribute.map_err(malformed())?;
        match attribute.kind() {
            NAME => link.name = parse_string(attribute.value()).map_err(malformed())?,
            INFO => {
                for info in NlasIterator::new(attribute.value()) {
                    let info = info.map_err(malformed())?;
                    if info.kind() == INFO_KIND {
                        link.kind = Some(parse_string(info.value()).map_err(malformed())?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use proptest::prelude::*;

    use super::*;

    fn encoded(attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn index_name_and_driver_are_read_among_other_attributes() {
        let bytes = encoded(vec![
            LinkAttribute::Mtu(1500),
            LinkAttribute::IfName("kube-ipvs0".to_owned()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]),
        ]);
        assert_eq!(
            decode(&bytes).unwrap(),
            Link { index: 7, name: "kube-ipvs0".to_owned(), kind: Some("dummy".to_owned()) }
        );
        assert_eq!(decode(&encoded(vec![])).unwrap().kind, None);
    }

    proptest! {
        #[test]
        fn damaged_interfaces_are_errors_not_panics(
            cut in 0usize..80, at in 0usize..80, value in any::<u8>(),
        ) {
            let mut bytes = encoded(vec![
                LinkAttribute::IfName("kube-ipvs0".to_owned()),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]),
            ]);
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes);
        }
    }
}
