//! The weights of nodes, and which Services have endpoints where.

use hashbrown::HashMap;

use crate::operation::ServiceId;
use crate::symbol::Symbol;

/// Each node's weight, and the Services with endpoints there, so that a new weight concerns those
/// only.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    weights: HashMap<Symbol, u16>,
    /// How many endpoints, as slices state them, a Service has on a node.
    services: HashMap<Symbol, HashMap<ServiceId, u32>>,
}

impl Nodes {
    pub(crate) fn weight(&self, node: Symbol) -> Option<u16> {
        self.weights.get(&node).copied()
    }

    /// Sets a weight; whether that changed anything.
    pub(crate) fn set_weight(&mut self, node: Symbol, weight: Option<u16>) -> bool {
        let before = match weight {
            Some(weight) => self.weights.insert(node, weight),
            None => self.weights.remove(&node),
        };
        before != weight
    }

    /// The nodes that have a weight.
    pub(crate) fn weighted(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.weights.keys().copied()
    }

    /// The Services with endpoints on a node, in an order that is the same every time.
    pub(crate) fn services_on(&self, node: Symbol) -> Vec<ServiceId> {
        let counts = self.services.get(&node);
        let mut ids: Vec<ServiceId> = counts.into_iter().flat_map(HashMap::keys).copied().collect();
        ids.sort_unstable();
        ids
    }

    /// A Service has one endpoint more on a node.
    pub(crate) fn add(&mut self, node: Symbol, id: ServiceId) {
        if node != Symbol::NONE {
            *self.services.entry(node).or_default().entry(id).or_default() += 1;
        }
    }

    /// A Service has one endpoint less on a node.
    pub(crate) fn remove(&mut self, node: Symbol, id: ServiceId) {
        let Some(counts) = self.services.get_mut(&node) else { return };
        if let Some(count) = counts.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&id);
            }
        }
        if counts.is_empty() {
            self.services.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbol::Symbols;

    #[test]
    fn a_service_is_on_a_node_until_its_last_endpoint_there_is_gone() {
        let mut symbols = Symbols::default();
        let (a, b) = (symbols.intern("a"), symbols.intern("b"));
        let mut nodes = Nodes::default();
        for (node, id) in
            [(a, ServiceId(1)), (a, ServiceId(1)), (a, ServiceId(2)), (b, ServiceId(3))]
        {
            nodes.add(node, id);
        }
        nodes.add(Symbol::NONE, ServiceId(4));
        assert_eq!(nodes.services_on(a), [ServiceId(1), ServiceId(2)]);
        nodes.remove(a, ServiceId(1));
        assert_eq!(nodes.services_on(a), [ServiceId(1), ServiceId(2)]);
        nodes.remove(a, ServiceId(1));
        assert_eq!(nodes.services_on(a), [ServiceId(2)]);
        nodes.remove(a, ServiceId(2));
        assert!(nodes.services_on(a).is_empty());
        assert_eq!(nodes.services.len(), 1);
    }
}
