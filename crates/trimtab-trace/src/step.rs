//! What a packet meets on its way.

use trimtab_core::{Frontend, SetElement};
use trimtab_host::rules::{Condition, Rule};

/// A point of the way at which the kernel calls the packet filter and IPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// What came in, before it is routed.
    Prerouting,
    /// What is for this node.
    Input,
    /// What is for somebody else.
    Forward,
    /// What this node sends, and what IPVS has translated.
    Output,
    /// What leaves.
    Postrouting,
}

impl Hook {
    /// The name of its built-in chain.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A rule applies.
    Rule(Box<RuleStep>),
    /// Routing finds that the destination is an address of this node.
    IsForNode,
    /// Routing finds that it is not.
    IsForOthers,
    /// The packet leaves by the loopback interface and comes in again.
    ComesBack,
    /// IPVS looks for a virtual server, and has this one.
    HasVirtualServer {
        /// Where.
        hook: Hook,
        /// The virtual server's frontend.
        frontend: Frontend,
    },
    /// IPVS looks for a virtual server, and has none.
    HasNoVirtualServer {
        /// Where.
        hook: Hook,
        /// The mark that the packet has then.
        mark: u32,
    },
}

/// A rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStep {
    /// Its table.
    pub table: &'static str,
    /// From which built-in chain the packet came to it.
    pub hook: Hook,
    /// Its chain.
    pub chain: &'static str,
    /// Its number in the chain, from 1, as `iptables -L --line-numbers` has it.
    pub number: usize,
    /// The rule.
    pub rule: Rule,
    /// Its conditions, in words that name what the packet has.
    pub because: Vec<String>,
    /// What it does.
    pub effect: Effect,
}

/// What a rule does to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It goes through another chain.
    GoesTo(&'static str),
    /// It leaves the chain.
    Returns,
    /// It leaves the table.
    Accepted,
    /// It is dropped.
    Dropped,
    /// It is dropped, and the sender gets an ICMP error.
    Rejected,
    /// Its mark changes.
    Marked {
        /// The mark before.
        before: u32,
        /// The mark after.
        after: u32,
        /// The element of a set that has the mark.
        by: Option<SetElement>,
    },
    /// The mark of its connection changes.
    ConnectionMarked {
        /// The mark before.
        before: u32,
        /// The mark after.
        after: u32,
    },
    /// Its source becomes an address of this node.
    Masqueraded,
}

/// Whether a condition is worth telling: of a connection's state, only what is unusual.
pub(crate) const fn is_telling(condition: &Condition) -> bool {
    !matches!(condition.test, trimtab_host::rules::Test::IsNew)
}
