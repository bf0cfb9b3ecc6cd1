//! Ensures that sets exist, have the right type, and are large enough.

use std::collections::BTreeMap;

use trimtab_core::{Family, SetId, SetType};

use super::change::OnFull;
use super::{Change, Client, Repeat, Set, SetHeader};
use crate::{Applied, Error};

/// The default maximum number of elements, as in kube-proxy and the `ipset` program.
const MAX_ELEMENTS: u32 = 65536;

/// The temporary name for preparing a replacement and for destroying the replaced set. If a set
/// with this name exists at the beginning, an earlier process left it when it was interrupted.
const TEMPORARY: &str = "KUBE-TRIMTAB-TMP";

/// A set that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetSpec<'a> {
    /// Its name, 31 bytes at most.
    pub name: &'a str,
    /// Its type.
    pub set_type: SetType,
    /// The family of its addresses; ignored for bitmaps of ports, which have none.
    pub family: Family,
    /// How many elements it should have room for, at least; bitmaps always hold all ports.
    pub max_elements: u32,
    /// Whether its elements have marks (`skbinfo`).
    pub marks: bool,
}

impl SetSpec<'static> {
    /// One of Trimtab's sets, with room for 65,536 elements or `elements`, if that is more.
    pub fn of(set: SetId, elements: u32) -> Self {
        Self {
            name: set.name(),
            set_type: set.kind.set_type(),
            family: set.family,
            max_elements: elements.max(MAX_ELEMENTS),
            marks: set.kind.has_marks(),
        }
    }
}

/// What was done to ensure a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was missing and has been created, empty.
    Created,
    /// It existed, with its elements.
    Adopted,
    /// It existed but was too small, or its elements would have expired: it was replaced by a
    /// suitable one with the same elements.
    Grown,
    /// A set of another type or family, or one that wrongly had or lacked marks, had the name: it
    /// was replaced by an empty one.
    Replaced,
}

/// Ensures that sets exist. There is one result for each, in the order of `sets`.
///
/// # Errors
/// [`Error::Send`] or [`Error::Ipset`] when the existing sets cannot be listed or the transport
/// fails.
pub fn ensure(
    client: &mut Client,
    sets: &[SetSpec<'_>],
) -> Result<Vec<Result<Ensured, Error>>, Error> {
    let present: BTreeMap<Box<str>, SetHeader> =
        client.headers()?.into_iter().map(|header| (header.name.clone(), header)).collect();
    let missing: Vec<SetSpec<'_>> =
        sets.iter().filter(|set| !present.contains_key(set.name)).copied().collect();
    let mut refused: BTreeMap<usize, Error> = client
        .create(&missing)?
        .failed
        .into_iter()
        .map(|failed| (failed.index, failed.error))
        .collect();
    let mut created = 0..missing.len();
    Ok(sets
        .iter()
        .map(|set| match present.get(set.name) {
            None => created
                .next()
                .and_then(|index| refused.remove(&index))
                .map_or(Ok(Ensured::Created), Err),
            Some(header) => fit(client, set, header),
        })
        .collect())
}

/// The outcome of changes for which sets may have grown.
#[derive(Debug, Default)]
pub struct Grown<'a> {
    /// The changes.
    pub applied: Applied,
    /// The sets that were replaced by larger ones, and for how many elements those have room.
    pub sets: Vec<(&'a str, u32)>,
}

/// Makes changes as [`Client::change`] does, except that a set which turns out to be full is
/// replaced by a larger one with the same elements.
///
/// # Errors
/// As [`Client::change`].
pub fn apply_growing<'a>(
    client: &mut Client,
    changes: &[Change<'a>],
    repeat: Repeat,
) -> Result<Grown<'a>, Error> {
    let mut applied = client.change_until(changes, repeat, OnFull::GiveUp)?;
    let mut sets = Vec::new();
    let mut needed: BTreeMap<&'a str, u32> = BTreeMap::new();
    for failed in applied.failed.iter().filter(|failed| failed.error.is_full()) {
        *needed.entry(changes[failed.index].set).or_default() += 1;
    }
    for (set, more) in needed {
        let indexes: Vec<usize> = applied
            .failed
            .iter()
            .filter(|failed| changes[failed.index].set == set && failed.error.is_full())
            .map(|failed| failed.index)
            .collect();
        applied.failed.retain(|failed| indexes.binary_search(&failed.index).is_err());
        match grow_by(client, set, more) {
            Ok(size) => {
                sets.push((set, size));
                let again: Vec<Change<'a>> = indexes.iter().map(|&index| changes[index]).collect();
                let second = client.change(&again, repeat)?;
                applied.messages += second.messages;
                applied.sends += second.sends;
                applied.bytes += second.bytes;
                for failed in second.failed {
                    applied.fail(indexes[failed.index], failed.error);
                }
            }
            Err(error) => {
                // One error has the reason; the errors of the set's other elements say that the set
                // is full.
                let mut reason = Some(error);
                for index in indexes {
                    let error = reason.take().unwrap_or_else(|| Error::NoRoom { set: set.into() });
                    applied.fail(index, error);
                }
            }
        }
    }
    applied.failed.sort_by_key(|failed| failed.index);
    Ok(Grown { applied, sets })
}

fn fit(client: &mut Client, set: &SetSpec<'_>, header: &SetHeader) -> Result<Ensured, Error> {
    let family = (set.set_type != SetType::BitmapPort).then_some(set.family);
    if header.set_type != Some(set.set_type) || header.family != family || header.marks != set.marks
    {
        return replace(client, set, header).map(|()| Ensured::Replaced);
    }
    let too_small = match set.set_type {
        SetType::BitmapPort => header.ports != Some((0, u16::MAX)),
        _ => header.max_elements.is_none_or(|room| room < set.max_elements),
    };
    if too_small || header.timeout.is_some_and(|seconds| seconds > 0) {
        let room = set.max_elements.max(header.max_elements.unwrap_or(0));
        copy(client, &SetSpec { max_elements: room, ..*set })?;
        return Ok(Ensured::Grown);
    }
    Ok(Ensured::Adopted)
}

/// Replaces a full set by one with room for `more` elements, at least twice as large.
fn grow_by(client: &mut Client, set: &str, more: u32) -> Result<u32, Error> {
    let header = client.header(set)?.ok_or_else(|| Error::Vanished(set.into()))?;
    let set_type =
        header.set_type.ok_or_else(|| Error::foreign_set(set, &header, "a type that we use"))?;
    let room = header.max_elements.unwrap_or(MAX_ELEMENTS);
    let room = room.saturating_add(more).max(room.saturating_mul(2));
    let room = room.checked_next_power_of_two().unwrap_or(u32::MAX);
    let family = header.family.unwrap_or(Family::V4);
    let marks = header.marks;
    copy(client, &SetSpec { name: set, set_type, family, max_elements: room, marks })?;
    Ok(room)
}

/// Replaces a set by one with these parameters and the same elements. No packet ever misses an
/// element: the new set is complete before the names are swapped.
fn copy(client: &mut Client, set: &SetSpec<'_>) -> Result<(), Error> {
    let Some(Set { header, elements, others }) = client.list(set.name)? else {
        return Err(Error::Vanished(set.name.into()));
    };
    if others > 0 {
        tracing::warn!(set = set.name, others, "a larger set leaves out elements of other kinds");
    }
    drop_temporary(client)?;
    client
        .create_sized(&SetSpec { name: TEMPORARY, ..*set }, header.hash_size.unwrap_or_default())?;
    let changes: Vec<Change<'_>> =
        elements.into_iter().map(|element| Change::add(TEMPORARY, element)).collect();
    let exchanged = client
        .change(&changes, Repeat::Allow)
        .and_then(Applied::into_result)
        .and_then(|()| client.swap(TEMPORARY, set.name));
    let dropped = drop_temporary(client);
    exchanged.and(dropped)
}

/// Replaces a set of another type by an empty one. The kernel swaps two sets only if they are
/// compatible for rules; otherwise no rule may refer to the old set, so that it can be destroyed.
fn replace(client: &mut Client, set: &SetSpec<'_>, header: &SetHeader) -> Result<(), Error> {
    drop_temporary(client)?;
    client.create_sized(&SetSpec { name: TEMPORARY, ..*set }, 0)?;
    let exchanged = match client.swap(TEMPORARY, set.name) {
        Err(error) if error.is_type_mismatch() && header.references == 0 => client
            .destroy(&[set.name])
            .and_then(Applied::into_result)
            .and_then(|()| client.rename(TEMPORARY, set.name)),
        Err(error) if error.is_type_mismatch() => {
            Err(Error::foreign_set(set.name, header, set.set_type.name()))
        }
        other => other,
    };
    let dropped = drop_temporary(client);
    exchanged.and(dropped)
}

fn drop_temporary(client: &mut Client) -> Result<(), Error> {
    match client.destroy(&[TEMPORARY])?.into_result() {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
