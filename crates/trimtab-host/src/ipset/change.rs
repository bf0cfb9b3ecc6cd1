//! Adds and deletes elements, many per message.

use std::iter;
use std::ops::Range;

use netlink_packet_core::NlasIterator;
use trimtab_core::SetElement;
use trimtab_netlink::{Batch, Error as NetlinkError, Refusal, flags};

use super::wire::{self, Command, attr};
use super::{Client, IpsetError, element};
use crate::{Applied, Error};

/// The kernel answers a refused element with a copy of the whole message, so messages are kept
/// small; at this size their headers take less than 2 % of the bytes.
const MESSAGE_BYTES: usize = 4 << 10;

/// One change of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The set's name.
    pub set: &'a str,
    /// Which element.
    pub element: SetElement,
    /// Whether the element is added or deleted.
    pub add: bool,
}

impl<'a> Change<'a> {
    /// Adds an element.
    pub const fn add(set: &'a str, element: SetElement) -> Self {
        Self { set, element, add: true }
    }

    /// Deletes an element.
    pub const fn delete(set: &'a str, element: SetElement) -> Self {
        Self { set, element, add: false }
    }

    const fn step(&self) -> &'static str {
        if self.add { "add" } else { "delete" }
    }

    fn fits(&self, other: &Self) -> bool {
        self.add == other.add && self.set == other.set
    }
}

/// How to handle adding an existing element, or deleting a missing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It counts as done.
    Allow,
    /// It is a failure, with [`IpsetError::is_repeat`].
    Refuse,
}

/// Whether to continue after an element for which its set has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFull {
    TryRest,
    GiveUp,
}

impl Client {
    /// Makes changes in order. Neighbouring changes of the same kind to the same set share a
    /// message, so sorting by set saves messages; correctness does not depend on the order.
    ///
    /// A refused element does not stop the others. The rest of its message is sent again after the
    /// other messages; only in this case does the order between sets differ from the slice's.
    ///
    /// # Errors
    /// [`Error::Send`] when the transport fails: then it is unknown what was done. Refused elements
    /// are in [`Applied`], networks of length 0 (which the kernel's hash:ip,port,net cannot hold)
    /// as [`Error::ZeroLengthNetwork`] without being sent.
    pub fn change(&mut self, changes: &[Change<'_>], repeat: Repeat) -> Result<Applied, Error> {
        self.change_until(changes, repeat, OnFull::TryRest)
    }

    pub(super) fn change_until(
        &mut self,
        changes: &[Change<'_>],
        repeat: Repeat,
        on_full: OnFull,
    ) -> Result<Applied, Error> {
        let mut applied = Applied::default();
        let mut batch = Batch::new();
        let mut pending: Vec<Range<usize>> = iter::once(0..changes.len()).collect();
        while !pending.is_empty() {
            batch.clear();
            let mut messages: Vec<Range<usize>> = Vec::new();
            for range in pending.drain(..) {
                split(changes, range, &mut messages, &mut applied);
            }
            for range in &messages {
                encode(&mut batch, &changes[range.clone()], range.start, repeat, self.protocol);
            }
            let report = self
                .socket
                .apply(&mut batch)
                .map_err(|source| Error::Send { what: "ipset elements", source })?;
            applied.count(&report);
            for message in report.unconfirmed.iter().cloned().flatten() {
                if report.failures.iter().all(|failure| failure.index != message) {
                    for index in messages[message].clone() {
                        fail(&mut applied, changes, index, NetlinkError::NoAnswer("message"));
                    }
                }
            }
            for failure in report.failures {
                let message = messages[failure.index].clone();
                let rest = refused(&mut applied, changes, message, failure.refusal, on_full);
                if !rest.is_empty() {
                    pending.push(rest);
                }
            }
        }
        applied.failed.sort_by_key(|failed| failed.index);
        Ok(applied)
    }
}

/// The messages that [`Client::change`] sends for these changes, for tests and benchmarks that
/// count or measure them without a kernel: of the newest protocol, and without elements that cannot
/// be sent.
pub fn messages(changes: &[Change<'_>], repeat: Repeat) -> Batch {
    let mut batch = Batch::new();
    let mut ranges = Vec::new();
    split(changes, 0..changes.len(), &mut ranges, &mut Applied::default());
    for range in ranges {
        encode(&mut batch, &changes[range.clone()], range.start, repeat, wire::PROTOCOL);
    }
    batch
}

/// One message for changes that do the same to the same set; `first` is the index of the first.
fn encode(batch: &mut Batch, changes: &[Change<'_>], first: usize, repeat: Repeat, protocol: u8) {
    let command = if changes[0].add { Command::Add } else { Command::Delete };
    let exclusive = match repeat {
        Repeat::Allow => 0,
        Repeat::Refuse => flags::EXCL,
    };
    let mut message = wire::begin(batch, command, flags::REQUEST | exclusive, protocol);
    message.attribute_text(attr::SETNAME, changes[0].set);
    // The kernel writes the refused element's number here; 0 stays if it refused the message.
    message.attribute_u32(attr::LINENO, 0);
    message.nested(attr::ADT, |all| {
        for (index, change) in (first..).zip(changes) {
            element::encode(all, &change.element, line(index));
        }
    });
}

/// The number of an element on the wire: from 1, as 0 means none.
fn line(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// Splits a range of changes into parts that fit a message each; leaves out and reports elements
/// that the kernel cannot hold.
fn split(
    changes: &[Change<'_>],
    range: Range<usize>,
    messages: &mut Vec<Range<usize>>,
    applied: &mut Applied,
) {
    let mut start = range.start;
    for index in range.clone() {
        let change = &changes[index];
        let bytes = (index - start) * element::MAX_SIZE;
        if index > start
            && (!change.fits(&changes[start]) || bytes + element::MAX_SIZE > MESSAGE_BYTES)
        {
            messages.push(start..index);
            start = index;
        }
        if let Some(error) = impossible(change) {
            if index > start {
                messages.push(start..index);
            }
            applied.fail(index, error);
            start = index + 1;
        }
    }
    if range.end > start {
        messages.push(start..range.end);
    }
}

fn impossible(change: &Change<'_>) -> Option<Error> {
    match change.element {
        SetElement::IpPortNet(.., net) if net.prefix_len() == 0 => {
            Some(Error::ZeroLengthNetwork { set: change.set.into(), element: change.element })
        }
        _ if change.set.len() >= wire::NAME_LENGTH => {
            Some(Error::SetName { set: change.set.into() })
        }
        _ => None,
    }
}

/// Records the refused element of a message; returns the part of the message that the kernel
/// skipped and that must be sent again.
fn refused(
    applied: &mut Applied,
    changes: &[Change<'_>],
    message: Range<usize>,
    refusal: Refusal,
    on_full: OnFull,
) -> Range<usize> {
    let index = refused_line(&refusal.echo)
        .and_then(|line| usize::try_from(line).ok())
        .and_then(|line| line.checked_sub(1))
        .filter(|index| message.contains(index));
    let Some(index) = index else {
        // The whole message was refused, for example because the set does not exist.
        for index in message.clone() {
            let refusal = Refusal { echo: Box::default(), ..refusal.clone() };
            fail(applied, changes, index, NetlinkError::Refused(refusal));
        }
        return message.end..message.end;
    };
    let refusal = Refusal { echo: Box::default(), ..refusal };
    let rest = index + 1..message.end;
    let full = IpsetError::new(NetlinkError::Refused(refusal.clone())).is_full();
    fail(applied, changes, index, NetlinkError::Refused(refusal.clone()));
    if full && on_full == OnFull::GiveUp {
        for index in rest {
            fail(applied, changes, index, NetlinkError::Refused(refusal.clone()));
        }
        return message.end..message.end;
    }
    rest
}

fn fail(applied: &mut Applied, changes: &[Change<'_>], index: usize, source: NetlinkError) {
    let change = &changes[index];
    let source = IpsetError::new(source);
    applied.fail(index, Error::element(change.step(), change.set, change.element, source));
}

/// The number of the refused element in the kernel's copy of a message (without `nlmsghdr`).
fn refused_line(echo: &[u8]) -> Option<u32> {
    NlasIterator::new(echo.get(wire::HEADER..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == attr::LINENO)
        .and_then(|attribute| attribute.value().try_into().ok())
        .map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ipset::element::tests::element;

    const SETS: [&str; 3] = ["a", "b", "c"];

    fn changes() -> impl Strategy<Value = Vec<Change<'static>>> {
        let change = (prop::sample::select(&SETS[..]), element(), any::<bool>())
            .prop_map(|(set, element, add)| Change { set, element, add });
        // Runs, as the callers of a proxy make them.
        prop::collection::vec((change, 1usize..120), 0..8).prop_map(|runs| {
            runs.into_iter().flat_map(|(change, times)| vec![change; times]).collect()
        })
    }

    proptest! {
        #[test]
        fn messages_hold_each_change_once_and_in_order(changes in changes()) {
            let mut messages = Vec::new();
            let mut applied = Applied::default();
            split(&changes, 0..changes.len(), &mut messages, &mut applied);
            let covered: Vec<usize> = messages.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..changes.len()).collect::<Vec<_>>());
            prop_assert!(applied.is_success());
            for message in messages {
                prop_assert!(!message.is_empty());
                prop_assert!(message.len() * element::MAX_SIZE <= MESSAGE_BYTES);
                let first = &changes[message.start];
                prop_assert!(changes[message].iter().all(|change| change.fits(first)));
            }
        }

        #[test]
        fn damaged_copies_of_a_message_name_no_element(echo in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = refused_line(&echo);
        }
    }

    fn net(prefix: &str) -> Change<'static> {
        let vip = "203.0.113.1".parse().unwrap();
        let tcp = trimtab_core::Protocol::Tcp;
        Change::add("a", SetElement::IpPortNet(vip, tcp, 443, prefix.parse().unwrap()))
    }

    #[test]
    fn a_network_of_length_0_is_refused_and_the_others_are_sent() {
        let changes = [net("192.0.2.0/24"), net("0.0.0.0/0"), net("::/0"), net("10.0.0.0/8")];
        let mut messages = Vec::new();
        let mut applied = Applied::default();
        split(&changes, 0..4, &mut messages, &mut applied);
        assert_eq!(messages, [0..1, 3..4]);
        let failed: Vec<_> = applied.failed.iter().map(|failed| failed.index).collect();
        assert_eq!(failed, [1, 2]);
        assert!(matches!(applied.failed[0].error, Error::ZeroLengthNetwork { .. }));
    }
}
