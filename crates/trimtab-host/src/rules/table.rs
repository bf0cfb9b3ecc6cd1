//! What the rules are ordered in: tables, jumps, chains; and the matches of sets.

use trimtab_core::{Family, SetId, SetKind};

use super::rule::{Rule, Side, Test};

/// A table's part of the rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, such as `nat`.
    pub name: &'static str,
    /// By built-in chain, and in each from the top.
    pub jumps: Vec<Jump>,
    /// Our chains.
    pub chains: Vec<Chain>,
}

/// A rule in a built-in chain that leads every packet to one of our chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The built-in chain.
    pub from: &'static str,
    /// Our chain.
    pub to: &'static str,
    /// Part of the identity: kube-proxy looks for a jump with its comment, and so do we, lest either
    /// adds a second one beside the other's.
    comment: &'static str,
}

impl Jump {
    /// What stands behind `-A CHAIN`.
    pub(super) fn rule(&self) -> String {
        format!("-m comment --comment \"{}\" -j {}", self.comment, self.to)
    }
}

/// A chain of ours with its whole content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

pub(super) const fn jump(from: &'static str, to: &'static str, comment: &'static str) -> Jump {
    Jump { from, to, comment }
}

pub(super) const fn chain(name: &'static str, rules: Vec<Rule>) -> Chain {
    Chain { name, rules }
}

/// A destination port, or an address in a set of addresses.
pub(super) const DST: &[Side] = &[Side::Destination];
/// Destination address and destination port.
pub(super) const DST_DST: &[Side] = &[Side::Destination, Side::Destination];
/// Source address and destination port.
pub(super) const SRC_DST: &[Side] = &[Side::Source, Side::Destination];
/// Destination address and destination port, and the source address.
pub(super) const DST_DST_SRC: &[Side] = &[Side::Destination, Side::Destination, Side::Source];
/// Destination address and destination port, and the destination address again.
pub(super) const DST_DST_DST: &[Side] = &[Side::Destination; 3];

/// The sets of one family, for the rules that match them.
#[derive(Clone, Copy)]
pub(super) struct Sets(pub(super) Family);

impl Sets {
    /// `sides` says which parts of the packet are looked up.
    pub(super) const fn has(self, kind: SetKind, sides: &'static [Side]) -> Test {
        Test::InSet(self.set(kind), sides)
    }

    pub(super) const fn set(self, kind: SetKind) -> SetId {
        SetId::new(kind, self.0)
    }
}
