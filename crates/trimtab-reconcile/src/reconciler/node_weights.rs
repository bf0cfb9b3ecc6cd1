//! Weights that nodes give to the endpoints on them.

use super::Reconciler;

impl Reconciler {
    /// Gives the endpoints on a node a weight, or takes it back; endpoints whose slice states one
    /// keep that. Concerns the Services with endpoints there, and does nothing where the settings
    /// leave nodes without weights.
    pub fn set_node_weight(&mut self, node: &str, weight: Option<u16>) {
        let Some(nodes) = &mut self.input.nodes else { return };
        let node = self.input.symbols.intern(node);
        if !nodes.set_weight(node, weight) {
            return;
        }
        for id in nodes.services_on(node) {
            let ports = self.input.services.get(id).map_or(0, |entry| entry.ports.end());
            for port in 0..ports {
                let entry = self.input.services.get(id).and_then(|entry| entry.ports.get(port));
                let Some(entry) = entry else { continue };
                let there = entry.backends.iter().filter(|(_, state)| state.node() == node);
                let keys: Vec<_> = there.map(|(key, _)| key).collect();
                self.update_servers(id, port, &keys);
            }
        }
    }

    /// The nodes that have a weight.
    pub fn weighted_nodes(&self) -> impl Iterator<Item = &str> {
        let nodes = self.input.nodes.iter().flat_map(crate::nodes::Nodes::weighted);
        nodes.filter_map(|node| self.input.symbols.name(node))
    }
}
