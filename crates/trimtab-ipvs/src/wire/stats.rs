//! Counters, nested once in 32 and once in 64 bits.

use netlink_packet_core::{DecodeError, ErrorContext, NlasIterator, parse_u32, parse_u64};

use super::constants as k;
use super::message::keep;
use crate::{AttributeLevel, Stats, UnknownAttribute};

/// The wider nest if the kernel sent it (4.1 and later), else the narrow one, else nothing counted.
pub(super) fn either(
    narrow: Option<&[u8]>,
    wide: Option<&[u8]>,
    unknown: &mut Vec<UnknownAttribute>,
) -> Result<Stats, DecodeError> {
    match (wide, narrow) {
        (Some(nest), _) => Ok(Stats { wide: true, ..decode(nest, unknown)? }),
        (None, Some(nest)) => decode(nest, unknown),
        (None, None) => Ok(Stats::default()),
    }
}

/// Reads either nest: the 32-bit one has bytes in 64 bits and the rest in 32.
fn decode(nest: &[u8], unknown: &mut Vec<UnknownAttribute>) -> Result<Stats, DecodeError> {
    let mut stats = Stats::default();
    for attribute in NlasIterator::new(nest) {
        let attribute = attribute?;
        let field = match attribute.kind() {
            k::IPVS_STATS_ATTR_CONNS => &mut stats.connections,
            k::IPVS_STATS_ATTR_INPKTS => &mut stats.packets_in,
            k::IPVS_STATS_ATTR_OUTPKTS => &mut stats.packets_out,
            k::IPVS_STATS_ATTR_INBYTES => &mut stats.bytes_in,
            k::IPVS_STATS_ATTR_OUTBYTES => &mut stats.bytes_out,
            k::IPVS_STATS_ATTR_CPS => &mut stats.connection_rate,
            k::IPVS_STATS_ATTR_INPPS => &mut stats.packet_rate_in,
            k::IPVS_STATS_ATTR_OUTPPS => &mut stats.packet_rate_out,
            k::IPVS_STATS_ATTR_INBPS => &mut stats.byte_rate_in,
            k::IPVS_STATS_ATTR_OUTBPS => &mut stats.byte_rate_out,
            k::IPVS_STATS_ATTR_PAD => continue,
            _ => {
                keep(unknown, AttributeLevel::Stats, &attribute);
                continue;
            }
        };
        let value = attribute.value();
        *field = match value.len() {
            4 => parse_u32(value).map(u64::from),
            _ => parse_u64(value),
        }
        .context("invalid IPVS_STATS_ATTR value")?;
    }
    Ok(stats)
}
