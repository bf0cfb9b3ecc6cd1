//! Deriving deletions from complete lists.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use trimtab_core::objects::ObjectName;

use trimtab_kube::Kind;

/// Which lists are in progress, and which kinds have been listed completely once.
#[derive(Debug, Default)]
pub(super) struct Lists {
    services: Option<HashSet<ObjectName>>,
    slices: Option<HashSet<ObjectName>>,
    node: Option<bool>,
    node_weights: Option<HashSet<ObjectName>>,
    complete: BTreeSet<Kind>,
    has_addresses: bool,
}

impl Lists {
    pub(super) fn begin(&mut self, kind: Kind) {
        match kind {
            Kind::Services => self.services = Some(HashSet::new()),
            Kind::Slices => self.slices = Some(HashSet::new()),
            Kind::Node => self.node = Some(false),
            Kind::NodeWeights => self.node_weights = Some(HashSet::new()),
        }
    }

    pub(super) fn service(&mut self, name: &ObjectName) {
        if let Some(seen) = &mut self.services {
            seen.insert(name.clone());
        }
    }

    pub(super) fn slice(&mut self, name: &ObjectName) {
        if let Some(seen) = &mut self.slices {
            seen.insert(name.clone());
        }
    }

    pub(super) fn node(&mut self) {
        if let Some(seen) = &mut self.node {
            *seen = true;
        }
    }

    pub(super) fn node_weight(&mut self, name: &ObjectName) {
        if let Some(seen) = &mut self.node_weights {
            seen.insert(name.clone());
        }
    }

    /// Ends a list; returns the objects seen in it, except for our Node.
    pub(super) fn end(&mut self, kind: Kind) -> HashSet<ObjectName> {
        self.complete.insert(kind);
        match kind {
            Kind::Services => self.services.take().unwrap_or_default(),
            Kind::Slices => self.slices.take().unwrap_or_default(),
            Kind::Node => HashSet::new(),
            Kind::NodeWeights => self.node_weights.take().unwrap_or_default(),
        }
    }

    /// Whether our Node was missing from the list that has just ended.
    pub(super) fn node_is_gone(&mut self) -> bool {
        self.node.take() == Some(false)
    }

    /// The host's addresses are known: they always arrive completely.
    pub(super) fn addresses(&mut self) {
        self.has_addresses = true;
    }

    /// Whether every kind that decisions depend on has been listed once, and the node's own
    /// addresses are known: without these, node ports that are already served would be removed for
    /// a moment.
    pub(super) fn are_complete(&self, with_node_weights: bool) -> bool {
        let needed = |kind: &Kind| *kind != Kind::NodeWeights || with_node_weights;
        self.has_addresses
            && Kind::ALL.iter().filter(|kind| needed(kind)).all(|kind| self.complete.contains(kind))
    }
}
