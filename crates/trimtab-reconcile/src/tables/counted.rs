//! Objects that several Services may want at once.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use trimtab_core::{SetElement, SetId};

/// How often an object is wanted, and whether the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) wanted: u32,
    pub(crate) present: bool,
    /// The last audit that saw it, modulo 2^16: no more memory than alignment takes anyway.
    pub(crate) seen: u16,
}

impl Counted {
    /// Counts one more; whether the kernel now lacks something wanted.
    pub(crate) fn want(&mut self) -> bool {
        self.wanted += 1;
        self.wanted == 1 && !self.present
    }

    /// Counts one less; whether the kernel now has something unwanted.
    pub(crate) fn release(&mut self) -> bool {
        self.wanted = self.wanted.saturating_sub(1);
        self.wanted == 0
    }

    /// Whether what the kernel has is not what is wanted.
    pub(crate) const fn differs(self) -> bool {
        (self.wanted > 0) != self.present
    }

    /// Whether nobody needs this entry any more.
    pub(crate) const fn is_idle(self) -> bool {
        self.wanted == 0 && !self.present
    }
}

/// The elements of all sets, a map for each set.
#[derive(Debug)]
pub(crate) struct Elements {
    sets: Vec<HashMap<SetElement, Counted>>,
}

impl Default for Elements {
    fn default() -> Self {
        Self { sets: vec![HashMap::new(); SetId::COUNT] }
    }
}

impl Elements {
    pub(crate) fn of(&self, set: SetId) -> &HashMap<SetElement, Counted> {
        &self.sets[set.index()]
    }

    pub(crate) fn of_mut(&mut self, set: SetId) -> &mut HashMap<SetElement, Counted> {
        &mut self.sets[set.index()]
    }

    /// The element's count, made if need be.
    pub(crate) fn count(&mut self, set: SetId, element: SetElement) -> &mut Counted {
        match self.sets[set.index()].entry(element) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Counted::default()),
        }
    }

    /// Whether the kernel has the element.
    pub(crate) fn is_present(&self, set: SetId, element: &SetElement) -> bool {
        self.of(set).get(element).is_some_and(|counted| counted.present)
    }
}
