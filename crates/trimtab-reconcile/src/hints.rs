//! Topology hints as numbers: many endpoints share few hints.

use hashbrown::{HashMap, HashSet};

use crate::symbol::Crowd;
use trimtab_core::StableHash;
use trimtab_core::objects::Hints;

/// A combination of hints that was seen. Like a symbol, its number comes from what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HintId(u32);

impl HintId {
    /// No hints.
    pub(crate) const NONE: Self = Self(0);

    /// Where a combination goes whose number another has.
    fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }
}

/// What a combination of hints means on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "two questions about each of two kinds of hints")]
pub(crate) struct Meaning {
    /// There are zone hints.
    pub(crate) zones: bool,
    /// One of them is this node's zone.
    pub(crate) this_zone: bool,
    /// There are node hints.
    pub(crate) nodes: bool,
    /// One of them is this node.
    pub(crate) this_node: bool,
}

/// The combinations seen and not forgotten, and what they mean on this node.
#[derive(Debug)]
pub(crate) struct HintTable {
    node: Box<str>,
    zone: Option<Box<str>>,
    seen: HashMap<HintId, (Hints, Meaning)>,
    crowd: Crowd,
}

impl HintTable {
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.into(), zone: None, seen: HashMap::new(), crowd: Crowd::default() }
    }

    pub(crate) fn intern(&mut self, hints: &Hints) -> HintId {
        if hints.is_empty() {
            return HintId::NONE;
        }
        let mut hash = StableHash::new();
        for names in [&hints.zones, &hints.nodes] {
            hash = names.iter().fold(hash, |hash, name| hash.take(name.as_bytes())).take(&[]);
        }
        let mut id = HintId(hash.finish_u32());
        if id == HintId::NONE {
            id = id.next();
        }
        loop {
            match self.seen.get(&id) {
                Some((known, _)) if known == hints => return id,
                Some(_) => id = id.next(),
                None => {
                    self.seen.insert(id, (hints.clone(), self.meaning_of(hints)));
                    return id;
                }
            }
        }
    }

    /// Whether there are so many that it is time to look which are still used.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd.is_at(self.seen.len())
    }

    /// Forgets combinations that are not used; as [`Symbols::keep_only`](crate::symbol::Symbols).
    pub(crate) fn keep_only(&mut self, used: &HashSet<HintId>) {
        let all: HashSet<HintId> = self.seen.keys().copied().collect();
        self.seen.retain(|id, _| used.contains(id) || all.contains(&id.next()));
        self.crowd = Crowd::after(self.seen.len());
    }

    pub(crate) fn meaning(&self, id: HintId) -> Meaning {
        if id == HintId::NONE {
            return Meaning::default();
        }
        self.seen.get(&id).map(|(_, meaning)| *meaning).unwrap_or_default()
    }

    /// The node's zone.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The hints that a number stands for; `None` for no hints.
    pub(crate) fn hints(&self, id: HintId) -> Option<&Hints> {
        self.seen.get(&id).map(|(hints, _)| hints)
    }

    /// Sets the node's zone; returns whether that changed anything.
    pub(crate) fn set_zone(&mut self, zone: Option<&str>) -> bool {
        if self.zone.as_deref() == zone {
            return false;
        }
        self.zone = zone.map(Into::into);
        for (hints, meaning) in self.seen.values_mut() {
            meaning.this_zone = self.zone.as_ref().is_some_and(|zone| hints.zones.contains(zone));
        }
        true
    }

    fn meaning_of(&self, hints: &Hints) -> Meaning {
        Meaning {
            zones: !hints.zones.is_empty(),
            this_zone: self.zone.as_ref().is_some_and(|zone| hints.zones.contains(zone)),
            nodes: !hints.nodes.is_empty(),
            this_node: hints.nodes.contains(&self.node),
        }
    }
}
