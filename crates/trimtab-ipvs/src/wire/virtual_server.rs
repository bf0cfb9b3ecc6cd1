//! Virtual servers: `IPVS_CMD_ATTR_SERVICE`.

use std::net::Ipv4Addr;

use netlink_packet_core::{DecodeError, ErrorContext, NlasIterator, parse_u32};
use trimtab_core::{Family, Frontend, Persistence, Scheduler, VirtualServer, VirtualServerFlags};
use trimtab_netlink::Builder;

use super::frontend::Identity;
use super::message::{Command, keep, object, put_text, text, value};
use super::{Decoded, constants as k, frontend, stats};
use crate::{AttributeLevel, ObservedVirtualServer, Unsupported};

/// Writes what `IPVS_CMD_NEW_SERVICE` and `IPVS_CMD_SET_SERVICE` need, in ipvsadm's order.
pub(super) fn encode(message: &mut Builder<'_>, server: &VirtualServer) {
    message.nested(k::IPVS_CMD_ATTR_SERVICE, |service| {
        frontend::encode(service, &server.frontend);
        service.attribute_text(k::IPVS_SVC_ATTR_SCHED_NAME, server.scheduler.name());
        if let Some(engine) = &server.persistence_engine {
            put_text(service, k::IPVS_SVC_ATTR_PE_NAME, engine, k::IP_VS_PENAME_MAXLEN);
        }
        service.attribute(k::IPVS_SVC_ATTR_FLAGS, &flags(server));
        let timeout = server.persistence.map_or(0, |persistence| persistence.timeout);
        service.attribute_u32(k::IPVS_SVC_ATTR_TIMEOUT, timeout);
        let family = server.frontend.family();
        let prefix =
            server.persistence.map_or(family.host_prefix(), |persistence| persistence.prefix);
        if let Some(mask) = netmask(family, prefix) {
            service.attribute(k::IPVS_SVC_ATTR_NETMASK, &mask);
        }
    });
}

/// Writes the identity alone.
pub(super) fn encode_frontend(message: &mut Builder<'_>, frontend: &Frontend) {
    message.nested(k::IPVS_CMD_ATTR_SERVICE, |service| frontend::encode(service, frontend));
}

/// `struct ip_vs_flags`: with every bit in the mask, so that flags can be switched off.
fn flags(server: &VirtualServer) -> [u8; 8] {
    let persistent = if server.persistence.is_some() { k::IP_VS_SVC_F_PERSISTENT } else { 0 };
    let others = server.flags.bits() & !(k::IP_VS_SVC_F_PERSISTENT | k::IP_VS_SVC_F_HASHED);
    let mut pair = [0xff; 8];
    pair[..4].copy_from_slice(&(others | persistent).to_ne_bytes());
    pair
}

/// `None` for a prefix that the family does not have; for IPv6 the kernel sees to that itself.
fn netmask(family: Family, prefix: u8) -> Option<[u8; 4]> {
    match family {
        Family::V4 => {
            let host_bits = 32u32.checked_sub(prefix.into())?;
            Some(u32::MAX.checked_shl(host_bits).unwrap_or(0).to_be_bytes())
        }
        Family::V6 => Some(u32::from(prefix).to_ne_bytes()),
    }
}

/// Reads an answer to `IPVS_CMD_GET_SERVICE`.
///
/// # Errors
/// For bytes that are not such an answer.
pub fn decode_virtual_server(payload: &[u8]) -> Decoded<ObservedVirtualServer> {
    let mut unknown = Vec::new();
    let nest = object(payload, Command::NewVirtualServer, k::IPVS_CMD_ATTR_SERVICE, &mut unknown)?;
    Ok(decode(nest)?.map(|mut observed| {
        observed.unknown.append(&mut unknown);
        observed
    }))
}

/// Reads what is nested in `IPVS_CMD_ATTR_SERVICE`.
pub(super) fn decode(nest: &[u8]) -> Decoded<ObservedVirtualServer> {
    let mut identity = Identity::default();
    let mut scheduler = None;
    let mut engine = None;
    let mut flags = None;
    let mut timeout = None;
    let mut mask = None;
    let (mut stats32, mut stats64) = (None, None);
    let mut unknown = Vec::new();
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        let bytes = value(attribute);
        match attribute.kind() {
            k::IPVS_SVC_ATTR_SCHED_NAME => {
                scheduler = Some(text(bytes).context("invalid IPVS_SVC_ATTR_SCHED_NAME")?);
            }
            k::IPVS_SVC_ATTR_PE_NAME => {
                engine = Some(text(bytes).context("invalid IPVS_SVC_ATTR_PE_NAME")?);
            }
            k::IPVS_SVC_ATTR_FLAGS => flags = Some(parse_flags(bytes)?),
            k::IPVS_SVC_ATTR_TIMEOUT => {
                timeout = Some(parse_u32(bytes).context("invalid IPVS_SVC_ATTR_TIMEOUT")?);
            }
            k::IPVS_SVC_ATTR_NETMASK => {
                mask = Some(
                    <[u8; 4]>::try_from(bytes)
                        .map_err(|_| "invalid IPVS_SVC_ATTR_NETMASK: not 4 bytes")?,
                );
            }
            k::IPVS_SVC_ATTR_STATS => stats32 = Some(bytes),
            k::IPVS_SVC_ATTR_STATS64 => stats64 = Some(bytes),
            _ if identity.take(&attribute)? => {}
            _ => keep(&mut unknown, AttributeLevel::Object, &attribute),
        }
    }
    let frontend = match identity.frontend()? {
        Ok(frontend) => frontend,
        Err(unsupported) => return Ok(Err(unsupported)),
    };
    let name = scheduler.ok_or("IPVS_SVC_ATTR_SCHED_NAME is missing")?;
    let Ok(scheduler) = name.parse::<Scheduler>() else {
        return Ok(Err(Unsupported::Scheduler { frontend, name: name.into() }));
    };
    let flags = flags.ok_or("IPVS_SVC_ATTR_FLAGS is missing")?;
    let timeout = timeout.ok_or("IPVS_SVC_ATTR_TIMEOUT is missing")?;
    let mask = mask.ok_or("IPVS_SVC_ATTR_NETMASK is missing")?;
    let (prefix, irregular_netmask) = parse_netmask(frontend.family(), mask)?;
    let persistent = flags & k::IP_VS_SVC_F_PERSISTENT != 0;
    let stats = stats::either(stats32, stats64, &mut unknown)?;
    Ok(Ok(ObservedVirtualServer {
        server: VirtualServer {
            frontend,
            scheduler,
            flags: VirtualServerFlags::from_bits_retain(
                flags & !(k::IP_VS_SVC_F_PERSISTENT | k::IP_VS_SVC_F_HASHED),
            ),
            persistence: persistent.then_some(Persistence { timeout, prefix }),
            persistence_engine: engine.filter(|name| !name.is_empty()).map(Into::into),
        },
        irregular_netmask: irregular_netmask.filter(|_| persistent),
        stats,
        unknown,
    }))
}

/// Reads the identity in `IPVS_CMD_ATTR_SERVICE`, whatever else is there.
pub(super) fn decode_frontend(nest: &[u8]) -> Decoded<Frontend> {
    let mut identity = Identity::default();
    for attribute in NlasIterator::new(nest) {
        identity.take(&attribute?)?;
    }
    identity.frontend()
}

/// The value of `struct ip_vs_flags`; the mask in an answer has no meaning.
fn parse_flags(bytes: &[u8]) -> Result<u32, DecodeError> {
    match bytes.split_first_chunk::<4>() {
        Some((value, mask)) if mask.len() == 4 => Ok(u32::from_ne_bytes(*value)),
        _ => Err("invalid IPVS_SVC_ATTR_FLAGS: not 8 bytes".into()),
    }
}

/// The prefix, and the mask itself if it is not a prefix.
fn parse_netmask(family: Family, mask: [u8; 4]) -> Result<(u8, Option<Ipv4Addr>), DecodeError> {
    match family {
        Family::V4 => {
            let bits = u32::from_be_bytes(mask);
            // At most 32.
            let prefix = u8::try_from(bits.leading_ones()).unwrap_or(32);
            let regular = bits.count_ones() == bits.leading_ones();
            Ok((prefix, (!regular).then(|| Ipv4Addr::from(mask))))
        }
        Family::V6 => match u32::from_ne_bytes(mask) {
            prefix @ 0..=128 => Ok((u8::try_from(prefix).unwrap_or(128), None)),
            other => Err(format!("invalid IPVS_SVC_ATTR_NETMASK: prefix length {other}").into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmasks_go_both_ways() {
        for (family, longest) in [(Family::V4, 32), (Family::V6, 128)] {
            for prefix in 0..=longest {
                let mask = netmask(family, prefix).unwrap();
                assert_eq!(parse_netmask(family, mask).unwrap(), (prefix, None));
            }
        }
        assert_eq!(netmask(Family::V4, 24), Some([255, 255, 255, 0]));
        assert_eq!(netmask(Family::V6, 64), Some(64u32.to_ne_bytes()));
    }

    #[test]
    fn a_netmask_with_a_hole_is_kept_beside_its_prefix() {
        let mask = Ipv4Addr::new(255, 0, 255, 0);
        assert_eq!(parse_netmask(Family::V4, mask.octets()).unwrap(), (8, Some(mask)));
    }

    #[test]
    fn a_prefix_beyond_the_family_is_not_sent() {
        assert_eq!(netmask(Family::V4, 33), None);
        assert!(parse_netmask(Family::V6, 129u32.to_ne_bytes()).is_err());
    }
}
