//! Forgetting names that no endpoint has any more.
//!
//! Nodes come and go, and each endpoint may hint at a node of its own, so that there would be ever
//! more of them.

use hashbrown::HashSet;

use super::Reconciler;
use crate::backends::EndpointState;
use crate::hints::HintId;
use crate::nodes::Nodes;
use crate::symbol::Symbol;

impl Reconciler {
    /// Looks at every endpoint, but only when there are twice as many names as last time.
    pub(super) fn forget_unused_names(&mut self) {
        let state = || {
            self.input.slices.values().flat_map(|slice| &slice.endpoints).map(|(_, state)| *state)
        };
        if self.input.symbols.is_crowded() {
            let mut used: HashSet<Symbol> = state().map(EndpointState::node).collect();
            used.extend(self.input.nodes.iter().flat_map(Nodes::weighted));
            self.input.symbols.keep_only(&used);
        }
        if self.input.hints.is_crowded() {
            let used: HashSet<HintId> = state().map(EndpointState::hints).collect();
            self.input.hints.keep_only(&used);
        }
    }
}
