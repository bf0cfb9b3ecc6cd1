//! Attributes that a later kernel may add are kept where they stood and change nothing else.

use proptest::prelude::*;
use trimtab_core::Family;
use trimtab_ipvs::{AttributeLevel, UnknownAttribute, wire};

use crate::captured::{answers, bytes};

/// Number and bytes of an attribute that no kernel has today.
type Attribute = (u16, Vec<u8>);

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    // Two bits of the number are flags (NLA_TYPE_MASK, include/uapi/linux/netlink.h).
    let attribute = (64..0x3fffu16, prop::collection::vec(any::<u8>(), 0..24));
    prop::collection::vec(attribute, 0..3)
}

fn put(message: &mut Vec<u8>, attributes: &[Attribute]) {
    for (kind, value) in attributes {
        let length = u16::try_from(4 + value.len()).unwrap();
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
}

/// Puts attributes at the end of the attribute that starts at `place` and ends with the message.
fn put_inside(message: &mut Vec<u8>, place: usize, attributes: &[Attribute]) {
    put(message, attributes);
    let length = u16::try_from(message.len() - place).unwrap();
    message[place..place + 2].copy_from_slice(&length.to_ne_bytes());
}

/// Where the object starts: behind the generic-netlink header.
const OBJECT: usize = 4;
/// Where the 64-bit counters start, from the end: a header and ten counters.
const STATS: usize = 4 + 10 * 12;

/// The attributes as the decoder shall have kept them, of each level in turn.
fn kept(levels: &[(AttributeLevel, &[Attribute])]) -> Vec<UnknownAttribute> {
    let keep = |level| {
        move |(kind, value): &Attribute| UnknownAttribute {
            level,
            kind: *kind,
            value: value.clone().into(),
        }
    };
    levels.iter().flat_map(|(level, attributes)| attributes.iter().map(keep(*level))).collect()
}

/// The decoders' order of levels is their own affair.
fn sorted(mut attributes: Vec<UnknownAttribute>) -> Vec<UnknownAttribute> {
    attributes.sort_by_key(|attribute| attribute.level);
    attributes
}

proptest! {
    #[test]
    fn a_virtual_server_keeps_what_is_unknown(
        beside in attributes(),
        inside in attributes(),
        counters in attributes(),
    ) {
        for answer in
            [answers::UDP_AFTER_TRAFFIC, answers::MAGLEV, answers::IPV6, answers::MARK].map(bytes)
        {
            let known = wire::decode_virtual_server(&answer).unwrap().unwrap();
            let message = extended(&answer, &beside, &inside, &counters);
            let mut later = wire::decode_virtual_server(&message).unwrap().unwrap();
            let unknown = sorted(std::mem::take(&mut later.unknown));
            prop_assert_eq!(unknown, all_levels(&beside, &inside, &counters));
            prop_assert_eq!(later, known);
        }
    }

    #[test]
    fn a_real_server_keeps_what_is_unknown(
        beside in attributes(),
        inside in attributes(),
        counters in attributes(),
    ) {
        for answer in [answers::SERVER_AFTER_TRAFFIC, answers::MIXED_TUNNEL].map(bytes) {
            let known = wire::decode_real_server(&answer, Family::V4).unwrap().unwrap();
            let message = extended(&answer, &beside, &inside, &counters);
            let mut later = wire::decode_real_server(&message, Family::V4).unwrap().unwrap();
            let unknown = sorted(std::mem::take(&mut later.unknown));
            prop_assert_eq!(unknown, all_levels(&beside, &inside, &counters));
            prop_assert_eq!(later, known);
        }
    }

    #[test]
    fn a_sync_daemon_keeps_what_is_unknown(beside in attributes(), inside in attributes()) {
        let answer = bytes(answers::DAEMON);
        let known = wire::decode_sync_daemon(&answer).unwrap().unwrap();
        let mut message = answer;
        put_inside(&mut message, OBJECT, &inside);
        put(&mut message, &beside);
        let later = wire::decode_sync_daemon(&message).unwrap().unwrap();
        prop_assert_eq!(later.daemon, known.daemon);
        prop_assert_eq!(sorted(later.unknown), all_levels(&beside, &inside, &[]));
    }

    #[test]
    fn settings_keep_what_is_unknown(beside in attributes()) {
        let (mut info, mut timeouts) = (bytes(answers::INFO), bytes(answers::TIMEOUTS));
        let known = (
            wire::decode_info(&info).unwrap(),
            wire::decode_timeouts(&timeouts).unwrap(),
        );
        put(&mut info, &beside);
        put(&mut timeouts, &beside);
        let later = (
            wire::decode_info(&info).unwrap(),
            wire::decode_timeouts(&timeouts).unwrap(),
        );
        let unknown = all_levels(&beside, &[], &[]);
        prop_assert_eq!(&later.0.unknown, &unknown);
        prop_assert_eq!(later.1, (known.1.0, unknown));
        prop_assert_eq!(later.0.version, known.0.version);
        prop_assert_eq!(later.0.connection_table_size, known.0.connection_table_size);
    }
}

fn extended(
    answer: &[u8],
    beside: &[Attribute],
    inside: &[Attribute],
    counters: &[Attribute],
) -> Vec<u8> {
    let mut message = answer.to_vec();
    put_inside(&mut message, answer.len() - STATS, counters);
    put_inside(&mut message, OBJECT, inside);
    put(&mut message, beside);
    message
}

fn all_levels(
    beside: &[Attribute],
    inside: &[Attribute],
    counters: &[Attribute],
) -> Vec<UnknownAttribute> {
    kept(&[
        (AttributeLevel::Message, beside),
        (AttributeLevel::Object, inside),
        (AttributeLevel::Stats, counters),
    ])
}
