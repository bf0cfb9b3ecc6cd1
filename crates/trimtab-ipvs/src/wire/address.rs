//! Addresses: a union of 16 bytes and a family beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::DecodeError;
use trimtab_core::Family;

use super::constants as k;

/// `union nf_inet_addr` (include/uapi/linux/netfilter.h).
pub(super) type Union = [u8; 16];

pub(super) const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => k::AF_INET,
        Family::V6 => k::AF_INET6,
    }
}

pub(super) const fn family(number: u16) -> Option<Family> {
    match number {
        k::AF_INET => Some(Family::V4),
        k::AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

pub(super) fn union(address: IpAddr) -> Union {
    match address {
        IpAddr::V4(v4) => {
            let mut union = [0; 16];
            union[..4].copy_from_slice(&v4.octets());
            union
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Reads a union; some programs send the four bytes of IPv4 alone, as the kernel allows.
pub(super) fn parse_union(value: &[u8]) -> Result<Union, DecodeError> {
    let mut union = [0; 16];
    match value.len() {
        length @ (4 | 16) => {
            union[..length].copy_from_slice(value);
            Ok(union)
        }
        other => Err(DecodeError::invalid_ip_address(other)),
    }
}

pub(super) fn ip(union: Union, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(union[0], union[1], union[2], union[3]).into(),
        Family::V6 => Ipv6Addr::from(union).into(),
    }
}
