//! Topology hints as numbers: many endpoints share few hints.

use hashbrown::HashMap;

use crate::objects::Hints;

/// A combination of hints that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HintId(u32);

impl HintId {
    /// No hints.
    pub(crate) const NONE: Self = Self(0);
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

/// The combinations seen so far and what they mean on this node.
#[derive(Debug)]
pub(crate) struct HintTable {
    node: Box<str>,
    zone: Option<Box<str>>,
    ids: HashMap<Hints, HintId>,
    meanings: Vec<Meaning>,
}

impl HintTable {
    pub(crate) fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            zone: None,
            ids: HashMap::new(),
            meanings: vec![Meaning::default()],
        }
    }

    pub(crate) fn intern(&mut self, hints: &Hints) -> HintId {
        if hints.is_empty() {
            return HintId::NONE;
        }
        if let Some(id) = self.ids.get(hints) {
            return *id;
        }
        let id = HintId(u32::try_from(self.meanings.len()).unwrap_or(u32::MAX));
        self.meanings.push(self.meaning_of(hints));
        self.ids.insert(hints.clone(), id);
        id
    }

    pub(crate) fn meaning(&self, id: HintId) -> Meaning {
        self.meanings.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Sets the node's zone; returns whether that changed anything.
    pub(crate) fn set_zone(&mut self, zone: Option<&str>) -> bool {
        if self.zone.as_deref() == zone {
            return false;
        }
        self.zone = zone.map(Into::into);
        for (hints, id) in &self.ids {
            self.meanings[id.0 as usize] = self.meaning_of(hints);
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
