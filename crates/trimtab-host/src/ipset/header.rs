//! The parameters of a set in the kernel's listing.

use netlink_packet_core::{DecodeError, NLA_HEADER_SIZE, NlaBuffer, NlasIterator, parse_string};
use trimtab_core::{Family, SetElement, SetType};

use super::element::{self, fixed};
use super::wire::{HEADER, WITH_SKBINFO, attr, data};

/// A set's type and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHeader {
    /// Its name.
    pub name: Box<str>,
    /// The kernel's name of its type, such as `hash:ip,port`.
    pub type_name: Box<str>,
    /// Its type, if it is one that we use.
    pub set_type: Option<SetType>,
    /// The family of its addresses; none for bitmaps of ports.
    pub family: Option<Family>,
    /// The revision of its type.
    pub revision: u8,
    /// How many elements it may hold; none for bitmaps.
    pub max_elements: Option<u32>,
    /// The current number of hash buckets; none for bitmaps.
    pub hash_size: Option<u32>,
    /// First and last port of a bitmap.
    pub ports: Option<(u16, u16)>,
    /// Seconds after which elements expire, for sets with a timeout.
    pub timeout: Option<u32>,
    /// How many elements it holds; none on kernels that do not report it.
    pub elements: Option<u32>,
    /// How many rules and sets refer to it.
    pub references: u32,
    /// Whether its elements have marks (`skbinfo`).
    pub marks: bool,
}

/// The content of one message of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    pub(super) name: String,
    /// Only in the first message of a set.
    pub(super) header: Option<SetHeader>,
    /// The values of its elements.
    elements: Option<&'a [u8]>,
}

impl<'a> Listed<'a> {
    pub(super) fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut listed = Self::default();
        let mut type_name = None;
        let mut parameters: &[u8] = &[];
        let mut family = 0;
        let mut revision = 0;
        let attributes =
            payload.get(HEADER..).ok_or_else(|| DecodeError::from("no room for nfgenmsg"))?;
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute?;
            let value = attribute.value();
            match attribute.kind() {
                attr::SETNAME => listed.name = parse_string(value)?,
                attr::TYPENAME => type_name = Some(parse_string(value)?),
                attr::FAMILY => family = fixed::<1>(value, "family")?[0],
                attr::REVISION => revision = fixed::<1>(value, "revision")?[0],
                attr::DATA => parameters = inside(attribute),
                attr::ADT => listed.elements = Some(inside(attribute)),
                _ => {}
            }
        }
        if let Some(type_name) = type_name {
            let mut header = SetHeader {
                name: listed.name.as_str().into(),
                set_type: SetType::from_name(&type_name),
                type_name: type_name.into(),
                family: match family {
                    2 => Some(Family::V4),
                    10 => Some(Family::V6),
                    _ => None,
                },
                revision,
                max_elements: None,
                hash_size: None,
                ports: None,
                timeout: None,
                elements: None,
                references: 0,
                marks: false,
            };
            header.read(parameters)?;
            listed.header = Some(header);
        }
        Ok(listed)
    }

    /// Reads the elements into `elements`; returns how many a [`SetElement`] cannot represent.
    pub(super) fn elements(
        &self,
        header: &SetHeader,
        elements: &mut Vec<SetElement>,
    ) -> Result<usize, DecodeError> {
        let mut skipped = 0;
        for attribute in NlasIterator::new(self.elements.unwrap_or(&[])) {
            let attribute = attribute?;
            let element = match header.set_type {
                Some(set_type) if attribute.kind() == attr::DATA => {
                    element::decode(attribute.value(), set_type, header.family)?
                }
                _ => None,
            };
            match element {
                Some(element) => elements.push(element),
                None => skipped += 1,
            }
        }
        Ok(skipped)
    }
}

impl SetHeader {
    fn read(&mut self, parameters: &[u8]) -> Result<(), DecodeError> {
        let number = |value: &[u8]| fixed(value, "parameter").map(u32::from_be_bytes);
        let port = |value: &[u8]| fixed(value, "port").map(u16::from_be_bytes);
        let mut first = None;
        let mut last = None;
        for attribute in NlasIterator::new(parameters) {
            let attribute = attribute?;
            let value = attribute.value();
            match attribute.kind() {
                data::MAXELEM => self.max_elements = Some(number(value)?),
                data::HASHSIZE => self.hash_size = Some(number(value)?),
                data::TIMEOUT => self.timeout = Some(number(value)?),
                data::ELEMENTS => self.elements = Some(number(value)?),
                data::CADT_FLAGS => self.marks = number(value)? & WITH_SKBINFO != 0,
                data::REFERENCES => self.references = number(value)?,
                data::PORT => first = Some(port(value)?),
                data::PORT_TO => last = Some(port(value)?),
                _ => {}
            }
        }
        self.ports = first.zip(last);
        Ok(())
    }
}

/// The value of an attribute, borrowed from the message; `value()` borrows from the attribute.
fn inside(attribute: NlaBuffer<&[u8]>) -> &[u8] {
    let length = attribute.value_length();
    &attribute.into_inner()[NLA_HEADER_SIZE..NLA_HEADER_SIZE + length]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trimtab_netlink::Batch;

    use super::*;
    use crate::ipset::wire::{Command, begin};

    /// A listing of one set as the kernel sends it.
    fn listing(elements: &[SetElement]) -> Vec<u8> {
        let mut batch = Batch::new();
        {
            let mut message = begin(&mut batch, Command::List, 0, 7);
            message.attribute_text(attr::SETNAME, "KUBE-CLUSTER-IP");
            message.attribute_text(attr::TYPENAME, "hash:ip,port");
            message.attribute_u8(attr::FAMILY, 2);
            message.attribute_u8(attr::REVISION, 6);
            message.nested(attr::DATA, |data| {
                data.attribute_net(data::HASHSIZE, &1024u32.to_be_bytes());
                data.attribute_net(data::MAXELEM, &65536u32.to_be_bytes());
                data.attribute_net(data::REFERENCES, &3u32.to_be_bytes());
                data.attribute_net(data::ELEMENTS, &2u32.to_be_bytes());
            });
            message.nested(attr::ADT, |all| {
                for element in elements {
                    element::encode(all, element, 0);
                }
            });
        }
        batch.as_bytes()[16..].to_vec()
    }

    #[test]
    fn a_listing_gives_parameters_and_elements() {
        let elements = ["10.96.0.1", "10.96.0.10"]
            .map(|ip| SetElement::IpPort(ip.parse().unwrap(), trimtab_core::Protocol::Udp, 53));
        let bytes = listing(&elements);
        let listed = Listed::decode(&bytes).unwrap();
        let header = listed.header.clone().unwrap();
        assert_eq!(
            (&*header.name, header.set_type),
            ("KUBE-CLUSTER-IP", Some(SetType::HashIpPort))
        );
        assert_eq!((header.family, header.revision), (Some(Family::V4), 6));
        assert_eq!((header.max_elements, header.hash_size), (Some(65536), Some(1024)));
        assert_eq!((header.references, header.elements), (3, Some(2)));
        let mut read = Vec::new();
        assert_eq!(listed.elements(&header, &mut read).unwrap(), 0);
        assert_eq!(read, elements);
    }

    #[test]
    fn elements_of_unknown_types_are_counted() {
        let element = SetElement::Ip("10.96.0.1".parse().unwrap());
        let bytes = listing(&[element]);
        let listed = Listed::decode(&bytes).unwrap();
        let mut header = listed.header.clone().unwrap();
        header.set_type = None;
        assert_eq!(listed.elements(&header, &mut Vec::new()).unwrap(), 1);
    }

    proptest! {
        #[test]
        fn damaged_listings_are_errors_not_panics(
            cut in 0usize..200, at in 0usize..200, value in any::<u8>(),
        ) {
            let element = SetElement::Ip("10.96.0.1".parse().unwrap());
            let mut bytes = listing(&[element]);
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            if let Ok(listed) = Listed::decode(&bytes) && let Some(header) = &listed.header {
                let _ = listed.elements(header, &mut Vec::new());
            }
        }
    }
}
