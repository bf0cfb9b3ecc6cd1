//! The header of every message: command and version (`struct genlmsghdr`).

use netlink_packet_core::{DecodeError, NlaBuffer, NlasIterator};
use trimtab_netlink::{Builder, flags};

use super::constants as k;
use crate::{AttributeLevel, UnknownAttribute};

/// Length of `struct genlmsghdr` (include/uapi/linux/genetlink.h).
const GENL_HDRLEN: usize = 4;

/// `IPVS_CMD_*`, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Command {
    NewVirtualServer = k::IPVS_CMD_NEW_SERVICE,
    SetVirtualServer = k::IPVS_CMD_SET_SERVICE,
    DeleteVirtualServer = k::IPVS_CMD_DEL_SERVICE,
    GetVirtualServer = k::IPVS_CMD_GET_SERVICE,
    NewRealServer = k::IPVS_CMD_NEW_DEST,
    SetRealServer = k::IPVS_CMD_SET_DEST,
    DeleteRealServer = k::IPVS_CMD_DEL_DEST,
    GetRealServer = k::IPVS_CMD_GET_DEST,
    NewSyncDaemon = k::IPVS_CMD_NEW_DAEMON,
    DeleteSyncDaemon = k::IPVS_CMD_DEL_DAEMON,
    GetSyncDaemon = k::IPVS_CMD_GET_DAEMON,
    SetConfig = k::IPVS_CMD_SET_CONFIG,
    GetConfig = k::IPVS_CMD_GET_CONFIG,
    SetInfo = k::IPVS_CMD_SET_INFO,
    GetInfo = k::IPVS_CMD_GET_INFO,
    Zero = k::IPVS_CMD_ZERO,
    Flush = k::IPVS_CMD_FLUSH,
}

/// Begins a message to the family `IPVS`; its number is set when it is sent.
pub(super) fn begin(
    batch: &mut trimtab_netlink::Batch,
    command: Command,
    more_flags: u16,
) -> Builder<'_> {
    let mut message = batch.message(0, flags::REQUEST | more_flags);
    message.put(&[command as u8, k::IPVS_GENL_VERSION, 0, 0]);
    message
}

/// Splits a payload into its command and its attributes.
pub(super) fn split(payload: &[u8]) -> Result<(u8, &[u8]), DecodeError> {
    match payload.split_at_checked(GENL_HDRLEN) {
        Some((header, attributes)) => Ok((header[0], attributes)),
        None => {
            Err(DecodeError::invalid_buffer("generic-netlink header", payload.len(), GENL_HDRLEN))
        }
    }
}

/// The nested attribute `kind` of a message that must have `command`; attributes beside it go to
/// `unknown`.
pub(super) fn object<'a>(
    payload: &'a [u8],
    command: Command,
    kind: u16,
    unknown: &mut Vec<UnknownAttribute>,
) -> Result<&'a [u8], DecodeError> {
    let (found, attributes) = split(payload)?;
    if found != command as u8 {
        return Err(format!("expected command {}, got {found}", command as u8).into());
    }
    let mut object = None;
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        if attribute.kind() == kind {
            object = Some(value(attribute));
        } else {
            keep(unknown, AttributeLevel::Message, &attribute);
        }
    }
    object.ok_or_else(|| format!("attribute {kind} of the message is missing").into())
}

/// The bytes of an attribute for as long as the message lives; its own accessor borrows from the
/// attribute. The iterator has checked the length.
pub(super) fn value(attribute: NlaBuffer<&[u8]>) -> &[u8] {
    let length = usize::from(attribute.length());
    attribute.into_inner().get(GENL_HDRLEN..length).unwrap_or_default()
}

/// Keeps an unknown attribute.
pub(super) fn keep(
    unknown: &mut Vec<UnknownAttribute>,
    level: AttributeLevel,
    attribute: &NlaBuffer<&[u8]>,
) {
    unknown.push(UnknownAttribute {
        level,
        kind: attribute.kind(),
        value: attribute.value().into(),
    });
}

/// A text up to its NUL.
pub(super) fn text(value: &[u8]) -> Result<&str, DecodeError> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).map_err(|_| DecodeError::from("text is not UTF-8"))
}

/// Writes a text with its NUL, at most one byte longer than the kernel takes (`room`, NUL
/// included), so that a name that is too long is refused instead of truncated to another valid
/// name.
pub(super) fn put_text(message: &mut Builder<'_>, kind: u16, name: &str, room: usize) {
    let mut end = name.len().min(room + 1);
    while !name.is_char_boundary(end) {
        end += 1;
    }
    message.attribute_text(kind, &name[..end]);
}
