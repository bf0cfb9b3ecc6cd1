//! The ports of one Service, found by place or by name.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use trimtab_core::{Family, Protocol};

use crate::backends::Backends;
use crate::steps;

/// Up to so many ports are looked through one by one; nearly every Service has no more.
const FEW: usize = 8;

/// The endpoints of one Service port in one family.
#[derive(Debug)]
pub(crate) struct PortEntry {
    pub(crate) name: Box<str>,
    pub(crate) protocol: Protocol,
    pub(crate) family: Family,
    pub(crate) backends: Backends,
    /// The Service has such a port; its local endpoints then belong in the hairpin set.
    pub(crate) declared: bool,
    /// How many slices have such a port.
    pub(crate) slices: u32,
}

impl PortEntry {
    fn key(&self) -> Key<'_> {
        (&self.name, self.protocol, self.family)
    }
}

type Key<'a> = (&'a str, Protocol, Family);

/// The ports of one Service: those that it has, and those that slices of it have. A port keeps its
/// place for as long as either is so, because slices refer to places, and is then forgotten.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    entries: Vec<Option<PortEntry>>,
    /// Places that are free again.
    free: Vec<u32>,
    /// Where there are, or were, many: the places of all, by key.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Ports {
    pub(crate) fn get(&self, place: usize) -> Option<&PortEntry> {
        self.entries.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut PortEntry> {
        self.entries.get_mut(place)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PortEntry> {
        self.entries.iter().flatten()
    }

    /// All places are below this.
    pub(crate) fn end(&self) -> usize {
        self.entries.len()
    }

    /// The place of a port, if endpoints or the Service have been seen with it.
    pub(crate) fn find(&self, name: &str, protocol: Protocol, family: Family) -> Option<usize> {
        let key = (name, protocol, family);
        let is_it = |place: usize| {
            steps::count(1);
            self.get(place).is_some_and(|port| port.key() == key)
        };
        if self.index.is_empty() {
            return (0..self.entries.len()).find(|place| is_it(*place));
        }
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |place| is_it(*place as usize)).map(|place| *place as usize)
    }

    /// As [`Self::find`], making the port if need be.
    pub(crate) fn place(&mut self, name: &str, protocol: Protocol, family: Family) -> usize {
        if let Some(found) = self.find(name, protocol, family) {
            return found;
        }
        let backends = Backends::default();
        let port =
            PortEntry { name: name.into(), protocol, family, backends, declared: false, slices: 0 };
        let place = if let Some(place) = self.free.pop() {
            self.entries[place as usize] = Some(port);
            place as usize
        } else {
            if self.entries.len() < FEW {
                // Most Services have one port, and a list grows to four at once.
                self.entries.reserve_exact(1);
            }
            self.entries.push(Some(port));
            self.entries.len() - 1
        };
        if !self.index.is_empty() {
            self.enter(place);
        } else if self.entries.len() > FEW {
            for place in 0..self.entries.len() {
                self.enter(place);
            }
        }
        place
    }

    /// Forgets the port at a place if nobody has it any more.
    pub(crate) fn tidy(&mut self, place: usize) {
        let Some(Some(port)) = self.entries.get(place) else { return };
        if port.declared || port.slices > 0 {
            return;
        }
        let hash = self.hasher.hash_one(port.key());
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        if let Ok(found) = self.index.find_entry(hash, |known| *known == number) {
            found.remove();
        }
        self.entries[place] = None;
        self.free.push(number);
        if self.free.len() == self.entries.len() {
            *self = Self::default();
        }
    }

    /// Enters a place into the index.
    fn enter(&mut self, place: usize) {
        let Self { entries, index, hasher, .. } = self;
        let hash = |place: usize| {
            let port = entries.get(place).and_then(Option::as_ref);
            port.map_or(0, |port| hasher.hash_one(port.key()))
        };
        if entries[place].is_some() {
            let number = u32::try_from(place).unwrap_or(u32::MAX);
            index.insert_unique(hash(place), number, |known| hash(*known as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_by_name_whether_few_or_many_and_forgotten_when_nobody_has_them() {
        let name = |number: usize| format!("port-{number}");
        for count in [3, 100] {
            let mut ports = Ports::default();
            let places: Vec<usize> = (0..count)
                .map(|number| ports.place(&name(number), Protocol::Tcp, Family::V4))
                .collect();
            for (number, place) in places.iter().enumerate() {
                assert_eq!(ports.find(&name(number), Protocol::Tcp, Family::V4), Some(*place));
                assert_eq!(ports.find(&name(number), Protocol::Udp, Family::V4), None);
                assert_eq!(ports.find(&name(number), Protocol::Tcp, Family::V6), None);
            }
            ports.get_mut(places[1]).unwrap().declared = true;
            ports.get_mut(places[2]).unwrap().slices = 1;
            for place in &places {
                ports.tidy(*place);
            }
            assert_eq!(ports.iter().count(), 2, "one is the Service's, one a slice's");
            assert_eq!(ports.find(&name(1), Protocol::Tcp, Family::V4), Some(places[1]));
            assert!(places.contains(&ports.place("new", Protocol::Tcp, Family::V4)));
        }
    }

    #[test]
    fn a_place_that_is_free_is_taken_again() {
        let mut ports = Ports::default();
        for round in 0..8 {
            for number in 0..1000 {
                ports.place(&format!("{round}-{number}"), Protocol::Tcp, Family::V4);
            }
            assert_eq!(ports.end(), 1000);
            for place in 0..1000 {
                ports.tidy(place);
            }
            assert_eq!(ports.end(), 0);
        }
    }
}
