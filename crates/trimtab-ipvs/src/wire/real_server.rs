//! Real servers: `IPVS_CMD_ATTR_DEST`.

use netlink_packet_core::{
    DecodeError, ErrorContext, NlasIterator, parse_u8, parse_u16, parse_u16_be, parse_u32,
};
use trimtab_core::{Family, ForwardingMethod, RealServer, RealServerKey, Tunnel, TunnelKind};
use trimtab_netlink::Builder;

use super::address::{self, Union};
use super::message::{Command, keep, object, value};
use super::{Decoded, constants as k, stats};
use crate::{AttributeLevel, ObservedRealServer, UnknownAttribute, Unsupported};

/// Writes what `IPVS_CMD_NEW_DEST` and `IPVS_CMD_SET_DEST` need, in ipvsadm's order.
pub(super) fn encode(message: &mut Builder<'_>, server: &RealServer) {
    message.nested(k::IPVS_CMD_ATTR_DEST, |destination| {
        encode_identity(destination, &server.key);
        destination
            .attribute_u32(k::IPVS_DEST_ATTR_FWD_METHOD, forwarding_number(server.forwarding));
        destination.attribute_u32(k::IPVS_DEST_ATTR_WEIGHT, server.weight);
        let (kind, port) = match server.tunnel.kind {
            TunnelKind::IpIp => (k::IP_VS_CONN_F_TUNNEL_TYPE_IPIP, 0),
            TunnelKind::Gue { port } => (k::IP_VS_CONN_F_TUNNEL_TYPE_GUE, port),
            TunnelKind::Gre => (k::IP_VS_CONN_F_TUNNEL_TYPE_GRE, 0),
        };
        destination.attribute_u8(k::IPVS_DEST_ATTR_TUN_TYPE, kind);
        destination.attribute_be16(k::IPVS_DEST_ATTR_TUN_PORT, port);
        destination.attribute_u16(k::IPVS_DEST_ATTR_TUN_FLAGS, server.tunnel.flags);
        destination.attribute_u32(k::IPVS_DEST_ATTR_U_THRESH, server.upper_threshold);
        destination.attribute_u32(k::IPVS_DEST_ATTR_L_THRESH, server.lower_threshold);
    });
}

/// Writes the identity alone.
pub(super) fn encode_key(message: &mut Builder<'_>, key: &RealServerKey) {
    message.nested(k::IPVS_CMD_ATTR_DEST, |destination| encode_identity(destination, key));
}

fn encode_identity(destination: &mut Builder<'_>, key: &RealServerKey) {
    let family = address::family_number(Family::of(key.address));
    destination.attribute_u16(k::IPVS_DEST_ATTR_ADDR_FAMILY, family);
    destination.attribute(k::IPVS_DEST_ATTR_ADDR, &address::union(key.address));
    destination.attribute_be16(k::IPVS_DEST_ATTR_PORT, key.port);
}

const fn forwarding_number(method: ForwardingMethod) -> u32 {
    match method {
        ForwardingMethod::Masquerade => k::IP_VS_CONN_F_MASQ,
        ForwardingMethod::Local => k::IP_VS_CONN_F_LOCALNODE,
        ForwardingMethod::Tunnel => k::IP_VS_CONN_F_TUNNEL,
        ForwardingMethod::DirectRoute => k::IP_VS_CONN_F_DROUTE,
        ForwardingMethod::Bypass => k::IP_VS_CONN_F_BYPASS,
    }
}

pub(super) const fn forwarding(number: u32) -> Option<ForwardingMethod> {
    match number {
        k::IP_VS_CONN_F_MASQ => Some(ForwardingMethod::Masquerade),
        k::IP_VS_CONN_F_LOCALNODE => Some(ForwardingMethod::Local),
        k::IP_VS_CONN_F_TUNNEL => Some(ForwardingMethod::Tunnel),
        k::IP_VS_CONN_F_DROUTE => Some(ForwardingMethod::DirectRoute),
        k::IP_VS_CONN_F_BYPASS => Some(ForwardingMethod::Bypass),
        _ => None,
    }
}

/// Reads an answer to `IPVS_CMD_GET_DEST`; `family` is that of the virtual server, for kernels
/// whose answer does not say.
///
/// # Errors
/// For bytes that are not such an answer.
pub fn decode_real_server(payload: &[u8], family: Family) -> Decoded<ObservedRealServer> {
    let mut unknown = Vec::new();
    let nest = object(payload, Command::NewRealServer, k::IPVS_CMD_ATTR_DEST, &mut unknown)?;
    decode(nest, family, unknown)
}

/// Reads what is nested in `IPVS_CMD_ATTR_DEST`.
pub(super) fn decode(
    nest: &[u8],
    family: Family,
    mut unknown: Vec<UnknownAttribute>,
) -> Decoded<ObservedRealServer> {
    let mut identity = Identity::default();
    let mut method = None;
    let mut weight = None;
    let (mut upper_threshold, mut lower_threshold) = (0, 0);
    let (mut tunnel_kind, mut tunnel_port, mut tunnel_flags) = (0, 0, 0);
    let (mut active_connections, mut inactive_connections) = (0, 0);
    let mut persistent_connections = 0;
    let (mut stats32, mut stats64) = (None, None);
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        let bytes = value(attribute);
        let number = |name: &'static str| parse_u32(bytes).context(name);
        match attribute.kind() {
            k::IPVS_DEST_ATTR_FWD_METHOD => {
                method = Some(number("invalid IPVS_DEST_ATTR_FWD_METHOD")?);
            }
            k::IPVS_DEST_ATTR_WEIGHT => weight = Some(number("invalid IPVS_DEST_ATTR_WEIGHT")?),
            k::IPVS_DEST_ATTR_U_THRESH => {
                upper_threshold = number("invalid IPVS_DEST_ATTR_U_THRESH")?;
            }
            k::IPVS_DEST_ATTR_L_THRESH => {
                lower_threshold = number("invalid IPVS_DEST_ATTR_L_THRESH")?;
            }
            k::IPVS_DEST_ATTR_ACTIVE_CONNS => {
                active_connections = number("invalid IPVS_DEST_ATTR_ACTIVE_CONNS")?;
            }
            k::IPVS_DEST_ATTR_INACT_CONNS => {
                inactive_connections = number("invalid IPVS_DEST_ATTR_INACT_CONNS")?;
            }
            k::IPVS_DEST_ATTR_PERSIST_CONNS => {
                persistent_connections = number("invalid IPVS_DEST_ATTR_PERSIST_CONNS")?;
            }
            k::IPVS_DEST_ATTR_TUN_TYPE => {
                tunnel_kind = parse_u8(bytes).context("invalid IPVS_DEST_ATTR_TUN_TYPE")?;
            }
            k::IPVS_DEST_ATTR_TUN_PORT => {
                tunnel_port = parse_u16_be(bytes).context("invalid IPVS_DEST_ATTR_TUN_PORT")?;
            }
            k::IPVS_DEST_ATTR_TUN_FLAGS => {
                tunnel_flags = parse_u16(bytes).context("invalid IPVS_DEST_ATTR_TUN_FLAGS")?;
            }
            k::IPVS_DEST_ATTR_STATS => stats32 = Some(bytes),
            k::IPVS_DEST_ATTR_STATS64 => stats64 = Some(bytes),
            kind if identity.take(kind, bytes)? => {}
            _ => keep(&mut unknown, AttributeLevel::Object, &attribute),
        }
    }
    let key = match identity.key(family)? {
        Ok(key) => key,
        Err(unsupported) => return Ok(Err(unsupported)),
    };
    let method = method.ok_or("IPVS_DEST_ATTR_FWD_METHOD is missing")?;
    let Some(forwarding) = forwarding(method) else {
        return Ok(Err(Unsupported::Forwarding { server: key, number: method }));
    };
    let kind = match tunnel_kind {
        k::IP_VS_CONN_F_TUNNEL_TYPE_IPIP => TunnelKind::IpIp,
        k::IP_VS_CONN_F_TUNNEL_TYPE_GUE => TunnelKind::Gue { port: tunnel_port },
        k::IP_VS_CONN_F_TUNNEL_TYPE_GRE => TunnelKind::Gre,
        number => return Ok(Err(Unsupported::Tunnel { server: key, number })),
    };
    Ok(Ok(ObservedRealServer {
        server: RealServer {
            key,
            forwarding,
            weight: weight.ok_or("IPVS_DEST_ATTR_WEIGHT is missing")?,
            upper_threshold,
            lower_threshold,
            tunnel: Tunnel { kind, flags: tunnel_flags },
        },
        active_connections,
        inactive_connections,
        persistent_connections,
        stats: stats::either(stats32, stats64, &mut unknown)?,
        unknown,
    }))
}

/// Reads the identity in `IPVS_CMD_ATTR_DEST`, whatever else is there.
pub(super) fn decode_key(nest: &[u8], family: Family) -> Decoded<RealServerKey> {
    let mut identity = Identity::default();
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        identity.take(attribute.kind(), attribute.value())?;
    }
    identity.key(family)
}

/// The attributes of the identity as they come.
#[derive(Clone, Copy, Debug, Default)]
struct Identity {
    family: Option<u16>,
    address: Option<Union>,
    port: Option<u16>,
}

impl Identity {
    /// Takes an attribute of the identity; false if it is none.
    fn take(&mut self, kind: u16, value: &[u8]) -> Result<bool, DecodeError> {
        match kind {
            k::IPVS_DEST_ATTR_ADDR_FAMILY => {
                self.family = Some(parse_u16(value).context("invalid IPVS_DEST_ATTR_ADDR_FAMILY")?);
            }
            k::IPVS_DEST_ATTR_ADDR => {
                self.address =
                    Some(address::parse_union(value).context("invalid IPVS_DEST_ATTR_ADDR")?);
            }
            k::IPVS_DEST_ATTR_PORT => {
                self.port = Some(parse_u16_be(value).context("invalid IPVS_DEST_ATTR_PORT")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn key(&self, default: Family) -> Decoded<RealServerKey> {
        let union = self.address.ok_or("IPVS_DEST_ATTR_ADDR is missing")?;
        let port = self.port.ok_or("IPVS_DEST_ATTR_PORT is missing")?;
        // A program may write 0 for "as the virtual server" (ip_vs_genl_set_cmd).
        let family = match self.family.filter(|number| *number != 0) {
            None => default,
            Some(number) => match address::family(number) {
                Some(family) => family,
                None => return Ok(Err(Unsupported::Family(number))),
            },
        };
        Ok(Ok(RealServerKey::new(address::ip(union, family), port)))
    }
}
