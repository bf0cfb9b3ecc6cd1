//! The wire format of elements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{DecodeError, NlasIterator};
use trimtab_core::{Family, Protocol, SetElement, SetType};
use trimtab_netlink::Builder;

use super::wire::{NOMATCH, attr, data};

/// The maximum size of an element in a message, including headers and line number: two IPv6
/// addresses, port, protocol, prefix length.
pub(super) const MAX_SIZE: usize = 96;

/// The mask of a mark that uses all bits.
const WHOLE_MARK: u32 = u32::MAX;

/// Writes an element; the kernel returns `line` if it refuses the element.
pub(super) fn encode(message: &mut Builder<'_>, element: &SetElement, line: u32) {
    message.nested(attr::DATA, |message| {
        match *element {
            SetElement::Ip(ip) => encode_ip(message, data::IP, ip),
            SetElement::Port(port) => message.attribute_net(data::PORT, &port.to_be_bytes()),
            SetElement::IpPort(ip, protocol, port) => encode_endpoint(message, ip, protocol, port),
            SetElement::IpPortMark(ip, protocol, port, mark) => {
                encode_endpoint(message, ip, protocol, port);
                let value = u64::from(mark) << 32 | u64::from(WHOLE_MARK);
                message.attribute_net(data::SKBMARK, &value.to_be_bytes());
            }
            SetElement::IpPortIp(ip, protocol, port, second) => {
                encode_endpoint(message, ip, protocol, port);
                encode_ip(message, data::IP2, second);
            }
            SetElement::IpPortNet(ip, protocol, port, net) => {
                encode_endpoint(message, ip, protocol, port);
                encode_ip(message, data::IP2, net.network());
                message.attribute_u8(data::CIDR2, net.prefix_len());
            }
        }
        message.attribute_u32(attr::LINENO, line);
    });
}

fn encode_endpoint(message: &mut Builder<'_>, ip: IpAddr, protocol: Protocol, port: u16) {
    encode_ip(message, data::IP, ip);
    message.attribute_net(data::PORT, &port.to_be_bytes());
    message.attribute_u8(data::PROTO, protocol.number());
}

fn encode_ip(message: &mut Builder<'_>, kind: u16, ip: IpAddr) {
    message.nested(kind, |message| match ip {
        IpAddr::V4(ip) => message.attribute_net(data::IPADDR_IPV4, &ip.octets()),
        IpAddr::V6(ip) => message.attribute_net(data::IPADDR_IPV6, &ip.octets()),
    });
}

/// Reads an element of a set of this type and family; `None` for one that a [`SetElement`] cannot
/// represent, such as an ICMP type or an exception (`nomatch`).
pub(super) fn decode(
    value: &[u8],
    set_type: SetType,
    family: Option<Family>,
) -> Result<Option<SetElement>, DecodeError> {
    let mut ip = None;
    let mut second = None;
    let mut port = None;
    let mut protocol = None;
    let mut prefix_len = None;
    let mut mark = None;
    for attribute in NlasIterator::new(value) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            data::IP => ip = decode_ip(value)?,
            data::IP2 => second = decode_ip(value)?,
            data::PORT => port = Some(u16::from_be_bytes(fixed(value, "port")?)),
            data::PROTO => protocol = Protocol::from_number(fixed::<1>(value, "protocol")?[0]),
            data::SKBMARK => {
                let value = u64::from_be_bytes(fixed(value, "mark")?);
                mark = u32::try_from(value >> 32).ok();
            }
            data::CIDR2 => prefix_len = Some(fixed::<1>(value, "prefix length")?[0]),
            data::CADT_FLAGS if u32::from_be_bytes(fixed(value, "flags")?) & NOMATCH != 0 => {
                return Ok(None);
            }
            _ => {}
        }
    }
    Ok(match set_type {
        SetType::HashIp => ip.map(SetElement::Ip),
        SetType::BitmapPort => port.map(SetElement::Port),
        SetType::HashIpPort => {
            endpoint(ip, protocol, port).map(|(ip, protocol, port)| match mark {
                Some(mark) => SetElement::IpPortMark(ip, protocol, port, mark),
                None => SetElement::IpPort(ip, protocol, port),
            })
        }
        SetType::HashIpPortIp => endpoint(ip, protocol, port)
            .zip(second)
            .map(|((ip, protocol, port), second)| SetElement::IpPortIp(ip, protocol, port, second)),
        SetType::HashIpPortNet => {
            let full = family.map(Family::host_prefix);
            let net = second
                .zip(prefix_len.or(full))
                .and_then(|(address, length)| IpNet::new(address, length).ok());
            endpoint(ip, protocol, port).zip(net).map(|((ip, protocol, port), net)| {
                SetElement::IpPortNet(ip, protocol, port, net.trunc())
            })
        }
    })
}

fn endpoint(
    ip: Option<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<u16>,
) -> Option<(IpAddr, Protocol, u16)> {
    Some((ip?, protocol?, port?))
}

fn decode_ip(value: &[u8]) -> Result<Option<IpAddr>, DecodeError> {
    for attribute in NlasIterator::new(value) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            data::IPADDR_IPV4 => return Ok(Some(Ipv4Addr::from(fixed(value, "address")?).into())),
            data::IPADDR_IPV6 => {
                return Ok(Some(Ipv6Addr::from(fixed::<16>(value, "address")?).into()));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The value of an attribute of fixed size.
pub(super) fn fixed<const N: usize>(value: &[u8], what: &str) -> Result<[u8; N], DecodeError> {
    value.try_into().map_err(|_| DecodeError::from(format!("{what} of {} bytes", value.len())))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use trimtab_netlink::Batch;

    use super::*;

    /// Any element of any type, of one family.
    pub(in super::super) fn element() -> impl Strategy<Value = SetElement> {
        let ip = |four: bool, bits: u128| -> IpAddr {
            if four {
                Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap()).into()
            } else {
                Ipv6Addr::from_bits(bits).into()
            }
        };
        let protocol = prop::sample::select(&Protocol::ALL[..]);
        (any::<bool>(), any::<u128>(), any::<u128>(), protocol, any::<u16>(), 0..6, 1u8..=128)
            .prop_map(move |(four, first, second, protocol, port, kind, length)| {
                let (first, second) = (ip(four, first), ip(four, second));
                match kind {
                    0 => SetElement::Ip(first),
                    1 => SetElement::Port(port),
                    2 => SetElement::IpPort(first, protocol, port),
                    3 => SetElement::IpPortIp(first, protocol, port, second),
                    4 => SetElement::IpPortMark(first, protocol, port, length.into()),
                    _ => {
                        let length = length.min(Family::of(second).host_prefix());
                        let net = IpNet::new(second, length).unwrap().trunc();
                        SetElement::IpPortNet(first, protocol, port, net)
                    }
                }
            })
    }

    fn encoded(element: &SetElement) -> Vec<u8> {
        let mut batch = Batch::new();
        encode(&mut batch.message(0, 0), element, 7);
        // After the header of the message and that of the nested attribute.
        batch.as_bytes()[20..].to_vec()
    }

    #[test]
    fn an_element_has_the_bytes_that_the_ipset_program_sends() {
        // Captured from `ipset add S 10.96.0.1,tcp:443` (libipset 7.17), but for the line number.
        let element = SetElement::IpPort("10.96.0.1".parse().unwrap(), Protocol::Tcp, 443);
        let ip = [12, 0, 1, 0x80, 8, 0, 1, 0x40, 10, 96, 0, 1];
        let port = [6, 0, 4, 0x40, 1, 0xbb, 0, 0];
        let protocol = [5, 0, 7, 0, 6, 0, 0, 0];
        let line = [8, 0, 9, 0, 7, 0, 0, 0];
        assert_eq!(encoded(&element), [&ip[..], &port, &protocol, &line].concat());
    }

    #[test]
    fn what_an_element_cannot_say_is_left_out() {
        let read = |bytes: &[u8]| decode(bytes, SetType::HashIpPort, Some(Family::V4)).unwrap();
        let element = SetElement::IpPort("10.96.0.1".parse().unwrap(), Protocol::Tcp, 443);
        let mut bytes = encoded(&element);
        assert_eq!(read(&bytes), Some(element));
        // Protocol 1 is ICMP.
        bytes[24] = 1;
        assert_eq!(read(&bytes), None);
        let mut exception = encoded(&element);
        exception.extend([8, 0, 8, 0x40, 0, 0, 0, 4]);
        assert_eq!(read(&exception), None);
    }

    proptest! {
        #[test]
        fn elements_read_back_as_written(element in element()) {
            let bytes = encoded(&element);
            prop_assert!(bytes.len() + 4 <= MAX_SIZE);
            prop_assert_eq!(decode(&bytes, element.set_type(), None).unwrap(), Some(element));
        }

        #[test]
        fn damaged_elements_are_errors_not_panics(
            element in element(), cut in 0usize..100, at in 0usize..100, value in any::<u8>(),
        ) {
            let mut bytes = encoded(&element);
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes, element.set_type(), Some(Family::V4));
        }
    }
}
