//! An ordered list of operations.

use crate::operation::{Action, Operation, Phase, ServiceId};

/// Operations in the order in which they are to be done: by [`Phase`], and within a phase in the
/// order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    phases: [Vec<Operation>; Phase::ALL.len()],
}

impl Plan {
    /// A plan to do nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation to its phase.
    pub fn push(&mut self, id: ServiceId, action: Action) {
        self.phases[action.phase() as usize].push(Operation { service: id, action });
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.phases.iter().map(Vec::len).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.phases.iter().all(Vec::is_empty)
    }

    /// The operations of one phase.
    pub fn phase(&self, phase: Phase) -> &[Operation] {
        &self.phases[phase as usize]
    }

    /// All operations in order.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.phases.iter().flatten()
    }
}
