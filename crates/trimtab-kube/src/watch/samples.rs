//! Answers of a real API server, in both encodings (`tests/data/api-samples`).

use super::encoding::{Encoding, Splitter};
use super::event::{Event, Status};
use super::items::Items;
use super::watched::Watched;
use crate::failure::Failure;
use crate::objects::{EndpointSliceObject, NodeObject, NodeWeightObject, ServiceObject};

macro_rules! sample {
    ($name:literal) => {
        [
            (
                Encoding::Json,
                &include_bytes!(concat!("../../tests/data/api-samples/", $name, ".json"))[..],
            ),
            (
                Encoding::Protobuf,
                &include_bytes!(concat!("../../tests/data/api-samples/", $name, ".pb"))[..],
            ),
        ]
    };
}

type Sample = [(Encoding, &'static [u8]); 2];
type Decode = fn(Encoding, &[u8], usize) -> Result<Vec<String>, Failure>;

/// Decodes a list that arrives in pieces of this size; everything in it as text.
fn list<K: Watched + std::fmt::Debug>(
    encoding: Encoding,
    bytes: &[u8],
    size: usize,
) -> Result<Vec<String>, Failure> {
    let mut items = Items::new(encoding);
    let mut found = Vec::new();
    for piece in bytes.chunks(size) {
        items.push(piece)?;
        while let Some(item) = items.next()? {
            found.push(format!("{:?}", encoding.object::<K>(item)?));
        }
    }
    found.push(format!("{:?}", items.finish()?));
    Ok(found)
}

/// Decodes a watch that arrives in pieces of this size.
fn watch<K: Watched + std::fmt::Debug>(
    encoding: Encoding,
    bytes: &[u8],
    size: usize,
) -> Result<Vec<String>, Failure> {
    let mut splitter = Splitter::new(encoding);
    let mut found = Vec::new();
    for piece in bytes.chunks(size) {
        splitter.push(piece)?;
        while let Some(event) = splitter.next()? {
            found.push(format!("{:?}", Event::<K>::decode(encoding, event)?));
        }
    }
    Ok(found)
}

/// Of both encodings the same values, however they are cut.
fn agree(sample: Sample, decode: Decode) -> Vec<String> {
    let [(json, text), _] = sample;
    let wanted = decode(json, text, text.len()).unwrap();
    for (encoding, bytes) in sample {
        for size in [1, 7, 100, bytes.len()] {
            let found = decode(encoding, bytes, size).unwrap();
            assert_eq!(found, wanted, "{encoding:?} in pieces of {size}");
        }
    }
    wanted
}

#[test]
fn lists_are_the_same_in_both_encodings() {
    let services = agree(sample!("services.list"), list::<ServiceObject>);
    assert_eq!(services.len(), 6, "{services:#?}");
    let slices = agree(sample!("endpointslices.list"), list::<EndpointSliceObject>);
    assert_eq!(slices.len(), 6, "{slices:#?}");
    let node = agree(sample!("node.list"), list::<NodeObject>);
    assert_eq!(node.len(), 2, "{node:#?}");
    let weights = agree(sample!("nodes.metadata"), list::<NodeWeightObject>);
    assert!(weights[0].contains("value: Some("), "{weights:#?}");
    let page = agree(sample!("services.page1"), list::<ServiceObject>);
    assert!(page.last().unwrap().contains("next: Some("), "{page:#?}");
}

#[test]
fn watches_are_the_same_in_both_encodings() {
    let kind = |event: &String| event.split('(').next().unwrap().to_owned();
    let events = agree(sample!("endpointslices.watch"), watch::<EndpointSliceObject>);
    let kinds: Vec<_> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["Modified", "Deleted", "Added", "Deleted", "Bookmark"]);
    let states = [
        agree(sample!("services.watchlist"), watch::<ServiceObject>),
        agree(sample!("endpointslices.watchlist"), watch::<EndpointSliceObject>),
    ];
    for events in states {
        let (mark, objects) = events.split_last().unwrap();
        assert!(objects.iter().all(|event| kind(event) == "Added"), "{events:#?}");
        assert!(mark.contains("state_ends: Some(\"true\")"), "{mark}");
    }
}

#[test]
fn errors_are_the_same_in_both_encodings() {
    for (encoding, bytes) in sample!("status-bad-continue") {
        let status = Status::of_body(encoding, bytes).unwrap();
        assert_eq!(status.code, 400);
        assert!(status.message.starts_with("invalid continue token"), "{}", status.message);
    }
    let unauthorized = include_bytes!("../../tests/data/api-samples/status-401.pb");
    let status = Status::of_body(Encoding::Protobuf, unauthorized);
    assert_eq!(status, Some(Status { code: 401, message: "Unauthorized".to_owned() }));
}

#[test]
fn a_list_that_breaks_off_is_not_complete() {
    for (encoding, bytes) in sample!("endpointslices.list") {
        // In protobuf, two empty fields follow the list, two bytes each.
        let end = if encoding == Encoding::Protobuf { 4 } else { 0 };
        for length in 0..bytes.trim_ascii_end().len() - end {
            let cut = list::<EndpointSliceObject>(encoding, &bytes[..length], 4096);
            assert!(cut.is_err(), "{encoding:?}: {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn an_answer_in_another_encoding_than_it_says_cannot_be_read() {
    let [(json, text), (protobuf, bytes)] = sample!("endpointslices.list");
    for (encoding, bytes) in [(json, bytes), (protobuf, text)] {
        let error = list::<EndpointSliceObject>(encoding, bytes, 4096).unwrap_err();
        assert!(matches!(error, Failure::Unreadable(_)), "{error}");
    }
    let [(_, text), (protobuf, _)] = sample!("endpointslices.watch");
    let error = watch::<EndpointSliceObject>(protobuf, text, 4096).unwrap_err();
    assert!(matches!(error, Failure::Unreadable(_)), "{error}");
}

/// Changes some bytes, cuts something out, or repeats something.
fn mutate(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        let end = bytes.len().min(at + random.usize(1..40));
        match random.u8(..6) {
            0 => bytes[at] = random.u8(..),
            1 => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes[at] = *random.choice([0, 0x7f, 0x80, 0xff].iter()).unwrap_or(&0),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            _ => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// `TRIMTAB_FUZZ_ROUNDS` makes it more.
fn rounds() -> usize {
    let set = std::env::var("TRIMTAB_FUZZ_ROUNDS").ok();
    set.map_or(2000, |text| text.parse().expect("TRIMTAB_FUZZ_ROUNDS is a number"))
}

#[test]
fn no_answer_whatever_it_holds_makes_the_decoder_panic() {
    let mut random = fastrand::Rng::with_seed(13);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..rounds() {
        let size = random.usize(1..5000);
        let mut count = |result: Result<Vec<String>, Failure>| match result {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        };
        for (encoding, bytes) in sample!("services.list") {
            count(list::<ServiceObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("endpointslices.list") {
            count(list::<EndpointSliceObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("node.list") {
            count(list::<NodeObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("nodes.metadata") {
            count(list::<NodeWeightObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("services.watchlist") {
            count(watch::<ServiceObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("endpointslices.watch") {
            count(watch::<EndpointSliceObject>(encoding, &mutate(bytes, &mut random), size));
        }
        for (encoding, bytes) in sample!("status-bad-continue") {
            let status = Status::of_body(encoding, &mutate(bytes, &mut random));
            assert!(status.is_none_or(|status| status.message.len() < 1000));
        }
    }
    println!("{read} read, {refused} refused");
    // Mutations reach past the first check.
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}
