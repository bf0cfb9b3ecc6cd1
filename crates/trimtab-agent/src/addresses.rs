//! The node's own addresses, without the moments in which one is gone.
//!
//! `netplan apply` and the like take an address away and put it back within milliseconds. What
//! depends on it, a virtual server for each node port, would be deleted and added again, and every
//! connection through it reset.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trimtab_core::objects::LocalAddress;

/// How long an address must be gone before it counts as lost. A node port at an address that is really
/// gone is reached by nobody, so there is no hurry.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses that the node has, and those that it had until a moment ago.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    present: Vec<LocalAddress>,
    /// Those that are gone, each with when that counts.
    gone: BTreeMap<LocalAddress, Instant>,
}

impl Addresses {
    /// Takes note of the addresses that the node has now; returns those that it is to be taken to
    /// have.
    pub(super) fn set(&mut self, present: Vec<LocalAddress>, now: Instant) -> Vec<LocalAddress> {
        for lost in std::mem::take(&mut self.present) {
            self.gone.entry(lost).or_insert(now + PATIENCE);
        }
        self.gone.retain(|address, until| *until > now && !present.contains(address));
        self.present = present;
        self.all()
    }

    /// The addresses that the node is to be taken to have, if some count as lost now that did not.
    pub(super) fn lose(&mut self, now: Instant) -> Option<Vec<LocalAddress>> {
        self.next().filter(|due| *due <= now)?;
        self.gone.retain(|_, until| *until > now);
        Some(self.all())
    }

    /// When [`Self::lose`] has something to say.
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
        // Other news meanwhile make it no longer.
        assert_eq!(addresses.set(vec![two.clone()], at(9000)).len(), 2);
        assert_eq!(addresses.lose(at(11_999)), None);
        assert_eq!(addresses.lose(at(12_000)), Some(vec![two]));
        assert_eq!((addresses.next(), addresses.lose(at(20_000))), (None, None));
    }
}
