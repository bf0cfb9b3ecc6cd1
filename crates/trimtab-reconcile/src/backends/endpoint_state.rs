//! What one slice says about one endpoint, in few bytes.

use crate::hints::HintId;
use crate::symbol::Symbol;
use trimtab_core::objects::Conditions;

/// What one slice says about one endpoint. The order is the order of preference when two slices
/// disagree: not terminating, ready, serving, local, and then anything that is the same every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointState {
    flags: u8,
    weight: Option<u16>,
    hints: HintId,
    node: Symbol,
}

/// One bit of [`EndpointState`].
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Flag {
    Local = 1,
    Serving = 2,
    Ready = 4,
    NotTerminating = 8,
}

impl Default for EndpointState {
    fn default() -> Self {
        Self { flags: 0, weight: None, hints: HintId::NONE, node: Symbol::NONE }
    }
}

impl EndpointState {
    pub(crate) const fn new(conditions: Conditions, local: bool) -> Self {
        let mut flags = 0;
        if local {
            flags |= Flag::Local as u8;
        }
        if conditions.serving {
            flags |= Flag::Serving as u8;
        }
        if conditions.ready {
            flags |= Flag::Ready as u8;
        }
        if !conditions.terminating {
            flags |= Flag::NotTerminating as u8;
        }
        Self { flags, weight: None, hints: HintId::NONE, node: Symbol::NONE }
    }

    pub(crate) const fn with_hints(mut self, hints: HintId) -> Self {
        self.hints = hints;
        self
    }

    pub(crate) const fn with_node(mut self, node: Symbol) -> Self {
        self.node = node;
        self
    }

    pub(crate) const fn with_weight(mut self, weight: Option<u16>) -> Self {
        self.weight = weight;
        self
    }

    const fn has(self, flag: Flag) -> bool {
        self.flags & flag as u8 != 0
    }

    pub(crate) const fn hints(self) -> HintId {
        self.hints
    }

    pub(crate) const fn node(self) -> Symbol {
        self.node
    }

    /// The weight that its slice asks for.
    pub(crate) const fn weight(self) -> Option<u16> {
        self.weight
    }

    /// What its slice says of its conditions.
    pub(crate) const fn conditions(self) -> Conditions {
        Conditions {
            ready: self.has(Flag::Ready),
            serving: self.has(Flag::Serving),
            terminating: !self.has(Flag::NotTerminating),
        }
    }

    pub(crate) const fn is_local(self) -> bool {
        self.has(Flag::Local)
    }

    pub(crate) const fn is_ready(self) -> bool {
        self.has(Flag::Ready)
    }

    /// On its way out, but still answering.
    pub(crate) const fn is_serving_terminating(self) -> bool {
        self.has(Flag::Serving) && !self.has(Flag::NotTerminating)
    }
}
