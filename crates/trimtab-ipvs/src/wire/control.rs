//! The controller of generic netlink, which knows the families by name.

use netlink_packet_core::{DecodeError, ErrorContext, NlasIterator, parse_u16};
use trimtab_netlink::flags;

use super::constants as k;
use super::message::split;

/// Asks for the family `IPVS`.
pub(crate) fn encode_resolve(batch: &mut trimtab_netlink::Batch) {
    let mut message = batch.message(k::GENL_ID_CTRL, flags::REQUEST);
    message.put(&[k::CTRL_CMD_GETFAMILY, 1, 0, 0]);
    message.attribute_text(k::CTRL_ATTR_FAMILY_NAME, k::IPVS_GENL_NAME);
}

/// The family's number, which is the `nlmsg_type` of its messages.
pub(crate) fn decode_resolved(payload: &[u8]) -> Result<u16, DecodeError> {
    let (command, attributes) = split(payload)?;
    if command != k::CTRL_CMD_NEWFAMILY {
        return Err(format!("expected CTRL_CMD_NEWFAMILY, got command {command}").into());
    }
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute?;
        if attribute.kind() == k::CTRL_ATTR_FAMILY_ID {
            return parse_u16(attribute.value()).context("invalid CTRL_ATTR_FAMILY_ID");
        }
    }
    Err("CTRL_ATTR_FAMILY_ID is missing".into())
}
