//! The node's own addresses; an address that disappears briefly is not lost.
//!
//! `netplan apply` and similar tools remove an address and add it again within milliseconds.
//! Without this delay, the virtual server of each node port would be deleted and added again, and
//! every connection through it reset.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trimtab_core::objects::LocalAddress;

/// How long an address must be gone before it counts as lost. Nobody can reach a node port at an
/// address that is really gone, so there is no hurry.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses that the node has, and those that disappeared a moment ago.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    present: Vec<LocalAddress>,
    /// The addresses that disappeared, each with the time when it counts as lost.
    gone: BTreeMap<LocalAddress, Instant>,
}

impl Addresses {
    /// Records the addresses that the node has now; returns those that count as the node's.
    pub(super) fn set(&mut self, present: Vec<LocalAddress>, now: Instant) -> Vec<LocalAddress> {
        for lost in std::mem::take(&mut self.present) {
            self.gone.entry(lost).or_insert(now + PATIENCE);
        }
        self.gone.retain(|address, until| *until > now && !present.contains(address));
        self.present = present;
        self.all()
    }

    /// The addresses that count as the node's, if some have become lost by now.
    pub(super) fn lose(&mut self, now: Instant) -> Option<Vec<LocalAddress>> {
        self.next().filter(|due| *due <= now)?;
        self.gone.retain(|_, until| *until > now);
        Some(self.all())
    }

    /// When to call [`Self::lose`] next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.gone.values().min().copied()
    }

    fn all(&self) -> Vec<LocalAddress> {
        self.present.iter().chain(self.gone.keys()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(interface: &str, last: u8) -> LocalAddress {
        LocalAddress { interface: interface.into(), address: [192, 168, 0, last].into() }
    }

    #[test]
    fn an_address_that_comes_counts_at_once_and_one_that_goes_only_if_it_stays_away() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let (one, two) = (on("eth0", 1), on("eth0", 2));
        let mut addresses = Addresses::default();
        assert_eq!(addresses.set(vec![one.clone()], at(0)), std::slice::from_ref(&one));
        assert_eq!(addresses.next(), None);
        assert_eq!(addresses.set(vec![], at(1000)), std::slice::from_ref(&one), "gone for 3 ms");
        assert_eq!(addresses.set(vec![one.clone()], at(1003)), std::slice::from_ref(&one));
        assert_eq!(addresses.next(), None);
        assert_eq!(addresses.set(vec![two.clone()], at(2000)), [two.clone(), one.clone()]);
        assert_eq!(addresses.next(), Some(at(12_000)));
        // Other changes meanwhile do not extend the delay.
        assert_eq!(addresses.set(vec![two.clone()], at(9000)).len(), 2);
        assert_eq!(addresses.lose(at(11_999)), None);
        assert_eq!(addresses.lose(at(12_000)), Some(vec![two]));
        assert_eq!((addresses.next(), addresses.lose(at(20_000))), (None, None));
    }
}
