//! Binds VIPs by routes instead of addresses.
//!
//! A route of type `local` makes a VIP's packets local just as an address does, but the kernel
//! keeps routes in a trie, whereas adding an address walks the whole list of addresses. Also, the
//! node's own connections then have the node's address as source instead of the VIP. Each route is
//! what `ip route add local VIP/32 dev lo table local proto 116 metric 1024 scope host src NODE`
//! adds.

use std::net::IpAddr;

use libc::{EEXIST, ESRCH, RT_TABLE_LOCAL, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE};
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use trimtab_core::Family;
use trimtab_netlink::{Batch, Error as NetlinkError, Socket, flags};

use crate::applied::apply_each;
use crate::{Applied, Error};

/// The protocol number that marks a route as ours; neither `RTPROT_*`
/// (include/uapi/linux/rtnetlink.h) nor iproute2's rt_protos use it.
pub const PROTOCOL: u8 = 116;

/// The kernel's own local routes have metric 0. With another metric, ours neither replaces nor is
/// confused with those, and a VIP can have both while it is moved from an address to a route or
/// back.
const METRIC: u32 = 1024;

/// The loopback device has index 1 in every network namespace (`LOOPBACK_IFINDEX`,
/// include/net/flow.h).
const LOOPBACK: u32 = 1;

/// A VIP that a route makes local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalRoute {
    /// The VIP.
    pub vip: IpAddr,
    /// The source address of the node's own connections to it; if `None`, the VIP itself.
    pub source: Option<IpAddr>,
}

/// Our routes, of both families.
///
/// # Errors
/// [`Error::List`].
pub fn list(socket: &mut Socket) -> Result<Vec<LocalRoute>, Error> {
    let mut all = Vec::new();
    for family in Family::ALL {
        let mut message = RouteMessage::default();
        message.header = header(family);
        // A dump request must not have other fields (valid_fib_dump_req, net/ipv4/fib_frontend.c).
        message.header.destination_prefix_length = 0;
        message.header.scope = RouteScope::Universe;
        let mut batch = Batch::new();
        batch.message(RTM_GETROUTE, flags::REQUEST | flags::DUMP).emit(&message);
        let found = socket.dump(&mut batch, |found: &mut Vec<LocalRoute>, kind, payload| {
            if kind == RTM_NEWROUTE
                && let Some(route) = decode(payload)?
            {
                found.push(route);
            }
            Ok(())
        });
        match found {
            Ok(mut routes) => all.append(&mut routes),
            // The kernel creates the table with its first route (fib_new_table).
            Err(error) if error.is_not_found() => {}
            Err(source) => return Err(Error::List { what: "local routes", source }),
        }
    }
    Ok(all)
}

/// Adds routes; an existing one counts as done, and gets the new source.
///
/// # Errors
/// [`Error::Send`] when the transport fails; refused routes are in [`Applied`].
pub fn add(socket: &mut Socket, routes: &[LocalRoute]) -> Result<Applied, Error> {
    let all = flags::REQUEST | flags::CREATE | flags::REPLACE;
    let mut batch = Batch::new();
    for route in routes {
        batch.message(RTM_NEWROUTE, all).emit(&message(route));
    }
    apply_each(
        socket,
        &mut batch,
        |errno| errno.0 == EEXIST,
        |index, source| Error::Route { step: "add", vip: routes[index].vip, source },
    )
    .map_err(|source| Error::Send { what: "local routes", source })
}

/// Deletes the routes of these VIPs, whatever their source; a missing one counts as done.
///
/// # Errors
/// As [`add`].
pub fn delete(socket: &mut Socket, vips: &[IpAddr]) -> Result<Applied, Error> {
    let mut batch = Batch::new();
    for &vip in vips {
        batch
            .message(RTM_DELROUTE, flags::REQUEST)
            .emit(&message(&LocalRoute { vip, source: None }));
    }
    apply_each(
        socket,
        &mut batch,
        |errno| errno.0 == ESRCH,
        |index, source| Error::Route { step: "delete", vip: vips[index], source },
    )
    .map_err(|source| Error::Send { what: "local routes", source })
}

fn header(family: Family) -> RouteHeader {
    RouteHeader {
        address_family: match family {
            Family::V4 => AddressFamily::Inet,
            Family::V6 => AddressFamily::Inet6,
        },
        destination_prefix_length: family.host_prefix(),
        table: RT_TABLE_LOCAL,
        protocol: RouteProtocol::Other(PROTOCOL),
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    }
}

fn message(route: &LocalRoute) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = header(Family::of(route.vip));
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::from(route.vip)),
        RouteAttribute::Oif(LOOPBACK),
        RouteAttribute::Priority(METRIC),
    ];
    if let Some(source) = route.source {
        message.attributes.push(RouteAttribute::PrefSource(RouteAddress::from(source)));
    }
    message
}

/// The VIP of a message about a route, if it is ours.
pub(crate) fn vip(message: &RouteMessage) -> Option<IpAddr> {
    is_ours(&message.header).then(|| of(message)).flatten().map(|route| route.vip)
}

/// `None` for a route that is not ours: a kernel without strict checking returns all tables, and
/// one with strict checking every route of our protocol.
fn decode(payload: &[u8]) -> Result<Option<LocalRoute>, NetlinkError> {
    let malformed = || NetlinkError::malformed("route");
    if !is_ours(&RouteHeader::parse(payload).map_err(malformed())?) {
        return Ok(None);
    }
    Ok(of(&RouteMessage::parse(payload).map_err(malformed())?))
}

fn is_ours(header: &RouteHeader) -> bool {
    let family = match header.address_family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return false,
    };
    // A kernel without several IPv6 tables keeps all routes in the main one
    // (CONFIG_IPV6_MULTIPLE_TABLES).
    let main = family == Family::V6 && header.table == RouteHeader::RT_TABLE_MAIN;
    u8::from(header.protocol) == PROTOCOL
        && (header.table == RT_TABLE_LOCAL || main)
        && header.kind == RouteType::Local
        && header.destination_prefix_length == family.host_prefix()
}

fn of(message: &RouteMessage) -> Option<LocalRoute> {
    let mut vip = None;
    let mut source = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => vip = ip(address),
            RouteAttribute::PrefSource(address) => source = ip(address),
            _ => {}
        }
    }
    vip.map(|vip| LocalRoute { vip, source })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;
    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &RouteMessage) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn routes_of_others_are_passed_over() {
        let route = LocalRoute { vip: "10.96.0.1".parse().unwrap(), source: None };
        let ours = message(&route);
        assert_eq!(decode(&encoded(&ours)).unwrap(), Some(route));
        let mut kernels = ours.clone();
        kernels.header.protocol = RouteProtocol::Kernel;
        let mut unicast = ours.clone();
        unicast.header.kind = RouteType::Unicast;
        let mut network = ours.clone();
        network.header.destination_prefix_length = 24;
        let mut main = ours;
        main.header.table = RouteHeader::RT_TABLE_MAIN;
        for other in [kernels, unicast, network, main] {
            assert_eq!(decode(&encoded(&other)).unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn routes_read_back_as_written(vip in any::<IpAddr>(), source in any::<u128>(), with in any::<bool>()) {
            let same_family = match vip {
                IpAddr::V4(_) => IpAddr::V4(u32::try_from(source & 0xffff_ffff).unwrap().into()),
                IpAddr::V6(_) => IpAddr::V6(source.into()),
            };
            let route = LocalRoute { vip, source: with.then_some(same_family) };
            prop_assert_eq!(decode(&encoded(&message(&route))).unwrap(), Some(route));
        }

        #[test]
        fn damaged_routes_are_errors_not_panics(
            cut in 0usize..60, at in 0usize..60, value in any::<u8>(),
        ) {
            let route =
                LocalRoute { vip: "fd00:96::a".parse().unwrap(), source: "fd00::1".parse().ok() };
            let mut bytes = encoded(&message(&route));
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes);
        }
    }
}
