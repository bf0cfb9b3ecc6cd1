//! What rules consist of: tables, jumps, chains, matches of sets, comments.

use trimtab_core::{Family, SetId, SetKind};

/// A table's part of the rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// By built-in chain, and in each from the top.
    pub(super) jumps: Vec<Jump>,
    pub(super) chains: Vec<Chain>,
}

/// A rule in a built-in chain that leads to one of our chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
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
pub(super) struct Chain {
    pub(super) name: &'static str,
    /// What stands behind `-A CHAIN`, rule by rule.
    pub(super) rules: Vec<String>,
}

pub(super) const fn jump(from: &'static str, to: &'static str, comment: &'static str) -> Jump {
    Jump { from, to, comment }
}

pub(super) const fn chain(name: &'static str, rules: Vec<String>) -> Chain {
    Chain { name, rules }
}

/// Words the match of a set.
pub(super) struct Sets(pub(super) Family);

impl Sets {
    /// `how` says which parts of the packet are looked up, such as `dst,dst`: address and port.
    pub(super) fn has(&self, kind: SetKind, how: &str) -> String {
        format!("-m set --match-set {} {how}", self.name(kind))
    }

    pub(super) const fn name(&self, kind: SetKind) -> &'static str {
        SetId::new(kind, self.0).name()
    }
}

pub(super) fn says(comment: &str) -> String {
    format!("-m comment --comment \"{comment}\"")
}
