//! Malformed bytes are an error, never a panic.

use proptest::prelude::*;
use trimtab_core::Family;
use trimtab_ipvs::{Batch, wire};

use crate::captured::{answers, bytes, requests};
use crate::operations::operation;

/// Every captured message.
const CAPTURED: [&str; 19] = [
    answers::UDP_AFTER_TRAFFIC,
    answers::SERVER_AFTER_TRAFFIC,
    answers::MAGLEV,
    answers::IPV6,
    answers::MIXED_TUNNEL,
    answers::MARK,
    answers::INFO,
    answers::TIMEOUTS,
    answers::DAEMON,
    requests::ADD_SOURCE_HASHING,
    requests::ADD_TUNNELLED_SERVER,
    requests::ADD_ONE_PACKET,
    requests::ADD_MARK,
    requests::DELETE_REAL_SERVER,
    requests::SET_TIMEOUTS,
    requests::START_DAEMON,
    requests::STOP_DAEMON,
    requests::ZERO,
    requests::FLUSH,
];

/// Every decoder there is; whether any of them could read the bytes.
fn decode(payload: &[u8]) -> bool {
    [
        wire::decode_request(payload).is_ok(),
        wire::decode_virtual_server(payload).is_ok(),
        wire::decode_real_server(payload, Family::V4).is_ok(),
        wire::decode_real_server(payload, Family::V6).is_ok(),
        wire::decode_sync_daemon(payload).is_ok(),
        wire::decode_info(payload).is_ok(),
        wire::decode_timeouts(payload).is_ok(),
    ]
    .contains(&true)
}

/// A message as it was captured, or one of ours.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(CAPTURED.to_vec()).prop_map(bytes),
        operation().prop_map(|operation| {
            let mut batch = Batch::new();
            batch.push(&operation);
            batch.as_bytes()[16..].to_vec()
        }),
    ]
}

/// Some damage: a byte that is another, a piece that is missing, one that is there twice.
#[derive(Clone, Debug)]
enum Damage {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let place = any::<prop::sample::Index>;
        prop_oneof![
            // The lengths and numbers of attributes are small.
            3 => (place(), prop_oneof![any::<u8>(), 0..32u8]).prop_map(|(p, b)| Self::Byte(p, b)),
            1 => place().prop_map(Self::Cut),
            1 => (place(), 1..9usize).prop_map(|(place, length)| Self::Remove(place, length)),
            1 => (place(), 1..40usize).prop_map(|(place, length)| Self::Repeat(place, length)),
        ]
    }

    fn inflict(&self, message: &mut Vec<u8>) {
        if message.is_empty() {
            return;
        }
        match self {
            Self::Byte(place, byte) => *place.get_mut(message) = *byte,
            Self::Cut(place) => message.truncate(place.index(message.len())),
            Self::Remove(place, length) => {
                let start = place.index(message.len());
                message.drain(start..message.len().min(start + length));
            }
            Self::Repeat(place, length) => {
                let start = place.index(message.len());
                message.extend_from_within(start..message.len().min(start + length));
            }
        }
    }
}

#[test]
fn every_captured_message_is_one_that_can_be_read() {
    for message in CAPTURED {
        assert!(decode(&bytes(message)), "{message}");
    }
}

#[test]
fn a_message_that_ends_early_never_panics() {
    for message in CAPTURED.map(bytes) {
        for length in 0..message.len() {
            decode(&message[..length]);
        }
        assert!(!decode(&message[..3]), "a header has four bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_never_panic(
        command in 0..20u8,
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        decode(&rest);
        decode(&[&[command, 1, 0, 0], &rest[..]].concat());
    }

    #[test]
    fn a_damaged_message_never_panics(
        mut message in message(),
        damage in prop::collection::vec(Damage::any(), 1..6),
    ) {
        for damage in damage {
            damage.inflict(&mut message);
            decode(&message);
        }
    }
}
