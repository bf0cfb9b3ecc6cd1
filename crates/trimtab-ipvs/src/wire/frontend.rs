//! What makes a virtual server unique, as the first attributes of `IPVS_CMD_ATTR_SERVICE`.

use netlink_packet_core::{
    DecodeError, ErrorContext, NlaBuffer, parse_u16, parse_u16_be, parse_u32,
};
use trimtab_core::{Frontend, Protocol};
use trimtab_netlink::Builder;

use super::address::{self, Union};
use super::{Decoded, constants as k};
use crate::Unsupported;

pub(super) fn encode(message: &mut Builder<'_>, frontend: &Frontend) {
    message.attribute_u16(k::IPVS_SVC_ATTR_AF, address::family_number(frontend.family()));
    match *frontend {
        Frontend::Address { protocol, address, port } => {
            message.attribute_u16(k::IPVS_SVC_ATTR_PROTOCOL, u16::from(protocol.number()));
            message.attribute(k::IPVS_SVC_ATTR_ADDR, &address::union(address));
            message.attribute_be16(k::IPVS_SVC_ATTR_PORT, port);
        }
        // To the kernel a mark of 0 means TCP to 0.0.0.0:0.
        Frontend::Mark { mark: 0, .. } => {}
        Frontend::Mark { mark, .. } => message.attribute_u32(k::IPVS_SVC_ATTR_FWMARK, mark),
    }
}

/// The attributes as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identity {
    family: Option<u16>,
    protocol: Option<u16>,
    address: Option<Union>,
    port: Option<u16>,
    mark: Option<u32>,
}

impl Identity {
    /// Takes an attribute of the identity; false if it is none.
    pub(super) fn take(&mut self, attribute: &NlaBuffer<&[u8]>) -> Result<bool, DecodeError> {
        let value = attribute.value();
        match attribute.kind() {
            k::IPVS_SVC_ATTR_AF => {
                self.family = Some(parse_u16(value).context("invalid IPVS_SVC_ATTR_AF")?);
            }
            k::IPVS_SVC_ATTR_PROTOCOL => {
                self.protocol = Some(parse_u16(value).context("invalid IPVS_SVC_ATTR_PROTOCOL")?);
            }
            k::IPVS_SVC_ATTR_ADDR => {
                self.address =
                    Some(address::parse_union(value).context("invalid IPVS_SVC_ATTR_ADDR")?);
            }
            k::IPVS_SVC_ATTR_PORT => {
                self.port = Some(parse_u16_be(value).context("invalid IPVS_SVC_ATTR_PORT")?);
            }
            k::IPVS_SVC_ATTR_FWMARK => {
                self.mark = Some(parse_u32(value).context("invalid IPVS_SVC_ATTR_FWMARK")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn frontend(&self) -> Decoded<Frontend> {
        let number = self.family.ok_or("IPVS_SVC_ATTR_AF is missing")?;
        let Some(family) = address::family(number) else {
            return Ok(Err(Unsupported::Family(number)));
        };
        if let Some(mark) = self.mark {
            return Ok(Ok(Frontend::Mark { mark, family }));
        }
        let (Some(number), Some(union), Some(port)) = (self.protocol, self.address, self.port)
        else {
            return Err("a virtual server with neither mark nor protocol, address and port".into());
        };
        let address = address::ip(union, family);
        match u8::try_from(number).ok().and_then(Protocol::from_number) {
            Some(protocol) => Ok(Ok(Frontend::new(protocol, address, port))),
            None => Ok(Err(Unsupported::Protocol { number, address, port })),
        }
    }
}
