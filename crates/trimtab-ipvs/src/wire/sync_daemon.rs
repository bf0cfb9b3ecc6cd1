//! Sync daemons: `IPVS_CMD_ATTR_DAEMON`.

use std::net::IpAddr;

use netlink_packet_core::{ErrorContext, NlasIterator, parse_ip, parse_u8, parse_u16, parse_u32};
use trimtab_netlink::Builder;

use super::message::{Command, keep, object, put_text, text};
use super::{Decoded, constants as k};
use crate::{
    AttributeLevel, ObservedSyncDaemon, SyncDaemon, SyncRole, UnknownAttribute, Unsupported,
};

/// Writes what `IPVS_CMD_NEW_DAEMON` needs; what is 0 is left to the kernel.
pub(super) fn encode(message: &mut Builder<'_>, daemon: &SyncDaemon) {
    message.nested(k::IPVS_CMD_ATTR_DAEMON, |nest| {
        nest.attribute_u32(k::IPVS_DAEMON_ATTR_STATE, state(daemon.role));
        put_text(nest, k::IPVS_DAEMON_ATTR_MCAST_IFN, &daemon.interface, k::IP_VS_IFNAME_MAXLEN);
        nest.attribute_u32(k::IPVS_DAEMON_ATTR_SYNC_ID, daemon.id);
        if daemon.payload != 0 {
            nest.attribute_u16(k::IPVS_DAEMON_ATTR_SYNC_MAXLEN, daemon.payload);
        }
        if daemon.port != 0 {
            nest.attribute_u16(k::IPVS_DAEMON_ATTR_MCAST_PORT, daemon.port);
        }
        if daemon.ttl != 0 {
            nest.attribute_u8(k::IPVS_DAEMON_ATTR_MCAST_TTL, daemon.ttl);
        }
        match daemon.group {
            Some(IpAddr::V4(group)) => {
                nest.attribute(k::IPVS_DAEMON_ATTR_MCAST_GROUP, &group.octets());
            }
            Some(IpAddr::V6(group)) => {
                nest.attribute(k::IPVS_DAEMON_ATTR_MCAST_GROUP6, &group.octets());
            }
            None => {}
        }
    });
}

/// Writes what `IPVS_CMD_DEL_DAEMON` needs.
pub(super) fn encode_role(message: &mut Builder<'_>, role: SyncRole) {
    message.nested(k::IPVS_CMD_ATTR_DAEMON, |nest| {
        nest.attribute_u32(k::IPVS_DAEMON_ATTR_STATE, state(role));
    });
}

const fn state(role: SyncRole) -> u32 {
    match role {
        SyncRole::Master => k::IP_VS_STATE_MASTER,
        SyncRole::Backup => k::IP_VS_STATE_BACKUP,
    }
}

const fn role(state: u32) -> Option<SyncRole> {
    match state {
        k::IP_VS_STATE_MASTER => Some(SyncRole::Master),
        k::IP_VS_STATE_BACKUP => Some(SyncRole::Backup),
        _ => None,
    }
}

/// Reads an answer to `IPVS_CMD_GET_DAEMON`.
///
/// # Errors
/// For bytes that are not such an answer.
pub fn decode_sync_daemon(payload: &[u8]) -> Decoded<ObservedSyncDaemon> {
    let mut unknown = Vec::new();
    let nest = object(payload, Command::NewSyncDaemon, k::IPVS_CMD_ATTR_DAEMON, &mut unknown)?;
    decode(nest, unknown)
}

/// Reads what is nested in `IPVS_CMD_ATTR_DAEMON`.
pub(super) fn decode(
    nest: &[u8],
    mut unknown: Vec<UnknownAttribute>,
) -> Decoded<ObservedSyncDaemon> {
    let mut state = None;
    let mut daemon = SyncDaemon::new(SyncRole::Master, "", 0);
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        let bytes = attribute.value();
        match attribute.kind() {
            k::IPVS_DAEMON_ATTR_STATE => {
                state = Some(parse_u32(bytes).context("invalid IPVS_DAEMON_ATTR_STATE")?);
            }
            k::IPVS_DAEMON_ATTR_MCAST_IFN => {
                daemon.interface =
                    text(bytes).context("invalid IPVS_DAEMON_ATTR_MCAST_IFN")?.into();
            }
            k::IPVS_DAEMON_ATTR_SYNC_ID => {
                daemon.id = parse_u32(bytes).context("invalid IPVS_DAEMON_ATTR_SYNC_ID")?;
            }
            k::IPVS_DAEMON_ATTR_SYNC_MAXLEN => {
                daemon.payload =
                    parse_u16(bytes).context("invalid IPVS_DAEMON_ATTR_SYNC_MAXLEN")?;
            }
            k::IPVS_DAEMON_ATTR_MCAST_GROUP | k::IPVS_DAEMON_ATTR_MCAST_GROUP6 => {
                daemon.group =
                    Some(parse_ip(bytes).context("invalid IPVS_DAEMON_ATTR_MCAST_GROUP")?);
            }
            k::IPVS_DAEMON_ATTR_MCAST_PORT => {
                daemon.port = parse_u16(bytes).context("invalid IPVS_DAEMON_ATTR_MCAST_PORT")?;
            }
            k::IPVS_DAEMON_ATTR_MCAST_TTL => {
                daemon.ttl = parse_u8(bytes).context("invalid IPVS_DAEMON_ATTR_MCAST_TTL")?;
            }
            _ => keep(&mut unknown, AttributeLevel::Object, &attribute),
        }
    }
    let state = state.ok_or("IPVS_DAEMON_ATTR_STATE is missing")?;
    match role(state) {
        Some(role) => {
            daemon.role = role;
            Ok(Ok(ObservedSyncDaemon { daemon, unknown }))
        }
        None => Ok(Err(Unsupported::SyncRole(state))),
    }
}
