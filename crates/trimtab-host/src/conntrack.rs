//! Deletes conntrack entries of UDP flows that are older than their virtual server.
//!
//! Address translation is decided on a flow's first packet. If a client keeps its port and has sent
//! datagrams before the virtual server existed, its flow is never masqueraded and it gets no answer
//! for as long as it keeps sending. So the conntrack entries of such flows are deleted once the
//! virtual server exists: the next packet then starts a new flow.
//!
//! Entries of a removed real server are not deleted here. IPVS does that, by tuple, when it expires
//! the connections of a deleted real server (`expire_nodest_conn`, Linux 5.9).

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use netlink_packet_core::{DecodeError, NlasIterator};
use trimtab_core::{Family, Frontend, Protocol};
use trimtab_netlink::{Batch, Builder, Errno, Error as NetlinkError, Socket, flags};

use crate::Error;
use crate::applied::apply_each;

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`
/// (include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h, as all below).
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_ID`, `CTA_ZONE`, `CTA_FILTER`
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// `CTA_FILTER_ORIG_FLAGS`
const FILTER_ORIGINAL: u16 = 1;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
/// `CTA_IP_V4_SRC` and related attributes
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
/// `CTA_PROTO_NUM`, `CTA_PROTO_DST_PORT`
const PROTOCOL_NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;
/// `CTA_FILTER_F_CTA_IP_DST`, `..._PROTO_NUM`, `..._PROTO_DST_PORT` (net/netfilter/nf_internals.h)
const BY_DESTINATION: u32 = 1 << 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// For up to this many frontends there is one filtered dump each; for more, a single dump of all
/// UDP flows.
const FEW: usize = 4;

/// Deletes the conntrack entries of untranslated UDP flows of `family` to `frontends`: those older
/// than the virtual server. Other frontends are skipped. Returns how many
/// entries were deleted. The kernel walks its table once for each frontend if there are few, or
/// once for all if there are many.
///
/// # Errors
/// [`Error::List`] when the table cannot be read, [`Error::Send`] when the transport fails.
pub fn forget_unserved(
    socket: &mut Socket,
    family: Family,
    frontends: &[Frontend],
) -> Result<usize, Error> {
    let served: HashSet<SocketAddr> = frontends
        .iter()
        .filter_map(|frontend| match frontend {
            Frontend::Address { protocol: Protocol::Udp, address, port } => {
                Some(SocketAddr::new(*address, *port))
            }
            _ => None,
        })
        .filter(|address| Family::of(address.ip()) == family)
        .collect();
    let mut choices: BTreeSet<Choice> = served.iter().map(Choice::of).collect();
    if choices.len() > FEW {
        choices = BTreeSet::from([Choice::default()]);
    }
    let mut unserved = Vec::new();
    for choice in choices {
        unserved.append(&mut list(socket, family, choice)?);
    }
    unserved.retain(|flow| flow.answerer == flow.to.ip() && served.contains(&flow.to));
    let mut batch = Batch::new();
    for flow in &unserved {
        let mut message = batch.message(DELETE, flags::REQUEST);
        message.put(&header(family));
        for (kind, value) in &flow.identity {
            message.attribute(*kind, value);
        }
    }
    // A flow that has just ended counts as deleted.
    let deleted = apply_each(socket, &mut batch, Errno::is_not_found, |_, source| Error::Send {
        what: "forgotten flows",
        source,
    });
    deleted
        .map_err(|source| Error::Send { what: "forgotten flows", source })?
        .into_result()
        .map(|()| unserved.len())
}

/// A tracked UDP flow.
#[derive(Debug, PartialEq, Eq)]
struct Flow {
    /// The original destination.
    to: SocketAddr,
    /// The source of the reply direction: differs from `to` if the destination is translated.
    answerer: IpAddr,
    /// The attributes that identify it.
    identity: Vec<(u16, Box<[u8]>)>,
}

/// The kernel's filter for UDP flows: all by default. The caller filters again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    /// Their original destination. Filtering by an IPv6 address does not work: the kernel returns
    /// all flows except those to it (ctnetlink_filter_match_tuple).
    to: Option<Ipv4Addr>,
    port: Option<u16>,
}

impl Choice {
    fn of(destination: &SocketAddr) -> Self {
        let to = match destination.ip() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        };
        Self { to, port: Some(destination.port()) }
    }

    fn put(self, message: &mut Builder<'_>) {
        let mut fields = BY_PROTOCOL;
        message.nested(ORIGINAL, |tuple| {
            if let Some(to) = self.to {
                fields |= BY_DESTINATION;
                tuple.nested(TUPLE_IP, |ip| ip.attribute(V4_DESTINATION, &to.octets()));
            }
            tuple.nested(TUPLE_PROTOCOL, |protocol| {
                protocol.attribute_u8(PROTOCOL_NUMBER, Protocol::Udp.number());
                if let Some(port) = self.port {
                    fields |= BY_DESTINATION_PORT;
                    protocol.attribute_be16(DESTINATION_PORT, port);
                }
            });
        });
        message.nested(FILTER, |filter| filter.attribute_u32(FILTER_ORIGINAL, fields));
    }
}

fn list(socket: &mut Socket, family: Family, choice: Choice) -> Result<Vec<Flow>, Error> {
    let mut batch = Batch::new();
    let mut message = batch.message(GET, flags::REQUEST | flags::DUMP);
    message.put(&header(family));
    choice.put(&mut message);
    drop(message);
    socket
        .dump(&mut batch, |flows: &mut Vec<Flow>, _, payload| {
            flows.extend(decode(payload).map_err(NetlinkError::malformed("tracked flow"))?);
            Ok(())
        })
        .map_err(|source| Error::List { what: "tracked flows", source })
}

/// `struct nfgenmsg`: the family (`AF_INET`, `AF_INET6`), the version, a resource.
const fn header(family: Family) -> [u8; 4] {
    let number = match family {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    [number, 0, 0, 0]
}

/// Decodes a flow; `None` if it is not UDP.
fn decode(payload: &[u8]) -> Result<Option<Flow>, DecodeError> {
    let (mut to, mut answerer) = (None, None);
    let mut identity = Vec::with_capacity(3);
    for attribute in NlasIterator::new(payload.get(header(Family::V4).len()..).unwrap_or(&[])) {
        let attribute = attribute?;
        match attribute.kind() {
            ORIGINAL => to = destination(attribute.value())?,
            REPLY => answerer = address(attribute.value(), [V4_SOURCE, V6_SOURCE])?,
            ID | ZONE => {}
            _ => continue,
        }
        if attribute.kind() != REPLY {
            identity.push((attribute.kind(), attribute.value().into()));
        }
    }
    Ok(to.zip(answerer).map(|(to, answerer)| Flow { to, answerer, identity }))
}

/// The destination of a UDP tuple.
fn destination(tuple: &[u8]) -> Result<Option<SocketAddr>, DecodeError> {
    let address = address(tuple, [V4_DESTINATION, V6_DESTINATION])?;
    let (mut number, mut port) = (None, None);
    for half in NlasIterator::new(tuple) {
        let half = half?;
        if half.kind() == TUPLE_PROTOCOL {
            for attribute in NlasIterator::new(half.value()) {
                let attribute = attribute?;
                match (attribute.kind(), attribute.value()) {
                    (PROTOCOL_NUMBER, [only]) => number = Some(*only),
                    (DESTINATION_PORT, [high, low]) => {
                        port = Some(u16::from_be_bytes([*high, *low]));
                    }
                    _ => {}
                }
            }
        }
    }
    let port = port.filter(|_| number == Some(Protocol::Udp.number()));
    Ok(address.zip(port).map(|(address, port)| SocketAddr::new(address, port)))
}

/// The address in one of these attributes of a tuple.
fn address(tuple: &[u8], kinds: [u16; 2]) -> Result<Option<IpAddr>, DecodeError> {
    for part in NlasIterator::new(tuple) {
        let part = part?;
        if part.kind() != TUPLE_IP {
            continue;
        }
        for attribute in NlasIterator::new(part.value()) {
            let attribute = attribute?;
            if kinds.contains(&attribute.kind()) {
                let value = attribute.value();
                let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
                let six = || <[u8; 16]>::try_from(value).map(IpAddr::from);
                return Ok(four.or_else(|_| six()).ok());
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel message about a flow, laid out as in ctnetlink_fill_info.
    fn message(protocol: Protocol, to: &str, answerer: &str) -> Vec<u8> {
        let (to, answerer): (SocketAddr, IpAddr) = (to.parse().unwrap(), answerer.parse().unwrap());
        let mut batch = Batch::new();
        let mut message = batch.message(0, 0);
        message.put(&header(Family::of(to.ip())));
        let mut tuple = |kind, address: (u16, u16), ip: IpAddr, port: u16| {
            message.nested(kind, |tuple| {
                tuple.nested(TUPLE_IP, |addresses| match ip {
                    IpAddr::V4(v4) => addresses.attribute(address.0, &v4.octets()),
                    IpAddr::V6(v6) => addresses.attribute(address.1, &v6.octets()),
                });
                tuple.nested(TUPLE_PROTOCOL, |part| {
                    part.attribute_u8(PROTOCOL_NUMBER, protocol.number());
                    part.attribute_be16(DESTINATION_PORT, port);
                });
            });
        };
        tuple(ORIGINAL, (V4_DESTINATION, V6_DESTINATION), to.ip(), to.port());
        tuple(REPLY, (V4_SOURCE, V6_SOURCE), answerer, 4711);
        message.attribute(ID, &[1, 2, 3, 4]);
        drop(message);
        batch.payload(0).unwrap().to_vec()
    }

    #[test]
    fn a_flow_is_read_with_what_identifies_it() {
        for (to, answerer) in [("10.96.0.10:53", "10.244.0.5"), ("[fd96::a]:53", "fd44::5")] {
            let flow = decode(&message(Protocol::Udp, to, answerer)).unwrap().unwrap();
            assert_eq!((flow.to, flow.answerer), (to.parse().unwrap(), answerer.parse().unwrap()));
            let kinds: Vec<u16> = flow.identity.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, [ORIGINAL, ID]);
        }
        let tcp = message(Protocol::Tcp, "10.96.0.10:53", "10.244.0.5");
        assert_eq!(decode(&tcp).unwrap(), None);
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error_and_not_a_panic() {
        let whole = message(Protocol::Udp, "10.96.0.10:53", "10.244.0.5");
        for length in 0..whole.len() {
            let _ = decode(&whole[..length]);
        }
        assert!(decode(&whole[..whole.len() - 3]).is_err());
    }
}
