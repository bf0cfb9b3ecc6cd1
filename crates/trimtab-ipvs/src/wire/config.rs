//! Settings of the whole: version and table size, timeouts.

use netlink_packet_core::{DecodeError, ErrorContext, NlasIterator, parse_u32};
use trimtab_netlink::Builder;

use super::constants as k;
use super::message::{Command, keep, split};
use crate::{AttributeLevel, Info, Timeouts, UnknownAttribute, Version};

/// Reads an answer to `IPVS_CMD_GET_INFO`.
///
/// # Errors
/// For bytes that are not such an answer.
pub fn decode_info(payload: &[u8]) -> Result<Info, DecodeError> {
    let attributes = expect(payload, Command::SetInfo)?;
    let (mut version, mut connection_table_size) = (None, None);
    let mut unknown = Vec::new();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            k::IPVS_INFO_ATTR_VERSION => {
                version = Some(parse_u32(value).context("invalid IPVS_INFO_ATTR_VERSION")?);
            }
            k::IPVS_INFO_ATTR_CONN_TAB_SIZE => {
                connection_table_size =
                    Some(parse_u32(value).context("invalid IPVS_INFO_ATTR_CONN_TAB_SIZE")?);
            }
            _ => keep(&mut unknown, AttributeLevel::Message, &attribute),
        }
    }
    // IP_VS_VERSION_CODE: a byte for each part.
    let [_, major, minor, patch] =
        version.ok_or("IPVS_INFO_ATTR_VERSION is missing")?.to_be_bytes();
    Ok(Info {
        version: Version { major, minor, patch },
        connection_table_size: connection_table_size
            .ok_or("IPVS_INFO_ATTR_CONN_TAB_SIZE is missing")?,
        unknown,
    })
}

/// Writes what `IPVS_CMD_SET_CONFIG` needs: the timeouts that are to change.
pub(super) fn encode_timeouts(message: &mut Builder<'_>, timeouts: &Timeouts) {
    for (kind, seconds) in [
        (k::IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp),
        (k::IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin),
        (k::IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp),
    ] {
        if let Some(seconds) = seconds {
            message.attribute_u32(kind, seconds);
        }
    }
}

/// Reads an answer to `IPVS_CMD_GET_CONFIG`, with the attributes that are not timeouts.
///
/// # Errors
/// For bytes that are not such an answer.
pub fn decode_timeouts(payload: &[u8]) -> Result<(Timeouts, Vec<UnknownAttribute>), DecodeError> {
    parse_timeouts(expect(payload, Command::SetConfig)?)
}

pub(super) fn parse_timeouts(
    attributes: &[u8],
) -> Result<(Timeouts, Vec<UnknownAttribute>), DecodeError> {
    let mut timeouts = Timeouts::default();
    let mut unknown = Vec::new();
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        let field = match attribute.kind() {
            k::IPVS_CMD_ATTR_TIMEOUT_TCP => &mut timeouts.tcp,
            k::IPVS_CMD_ATTR_TIMEOUT_TCP_FIN => &mut timeouts.tcp_fin,
            k::IPVS_CMD_ATTR_TIMEOUT_UDP => &mut timeouts.udp,
            _ => {
                keep(&mut unknown, AttributeLevel::Message, &attribute);
                continue;
            }
        };
        *field = Some(parse_u32(attribute.value()).context("invalid IPVS_CMD_ATTR_TIMEOUT value")?);
    }
    Ok((timeouts, unknown))
}

fn expect(payload: &[u8], command: Command) -> Result<&[u8], DecodeError> {
    match split(payload)? {
        (found, attributes) if found == command as u8 => Ok(attributes),
        (found, _) => Err(format!("expected command {}, got {found}", command as u8).into()),
    }
}
