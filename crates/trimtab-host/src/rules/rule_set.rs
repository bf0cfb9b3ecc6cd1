//! The rule set as a value.

use std::fmt::Write as _;

use trimtab_core::Family;

use super::content;
use super::saved::Saved;
use super::table::Table;
use super::{RuleOptions, difference, leftover};
use crate::Error;

/// The packet-filter rules of one family: chains with their whole content, and the jumps to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    family: Family,
    tables: [Table; 3],
}

impl RuleSet {
    /// The rules that follow from these options.
    ///
    /// # Errors
    /// [`Error::RuleOption`] for an option that no rule can hold, or of the other family.
    pub fn new(options: &RuleOptions, family: Family) -> Result<Self, Error> {
        options.check(family)?;
        Ok(Self { family, tables: content::tables(options, family) })
    }

    /// The family whose packets the rules see.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The rules, table by table.
    pub const fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The whole rule set as input for `iptables-restore` or `ip6tables-restore`, for tables that
    /// are empty; it is also what `iptables-save` then prints of our chains, but for its comments
    /// and the built-in chains' own lines.
    pub fn restore_input(&self) -> String {
        let mut input = String::new();
        for table in &self.tables {
            let _ = writeln!(input, "*{}", table.name);
            for chain in &table.chains {
                let _ = writeln!(input, ":{} - [0:0]", chain.name);
            }
            for jump in &table.jumps {
                let _ = writeln!(input, "-A {} {}", jump.from, jump.rule());
            }
            for chain in &table.chains {
                for rule in &chain.rules {
                    let _ = writeln!(input, "-A {} {rule}", chain.name);
                }
            }
            input.push_str("COMMIT\n");
        }
        input
    }

    /// What is missing from what `iptables-save` printed: `None` if our chains and the jumps to
    /// them are as they should be, else input for `iptables-restore --noflush`, which
    ///
    /// * deletes and inserts single rules in those of our chains that differ: what stays keeps its
    ///   counters, and a comment is no difference,
    /// * inserts missing jumps where kube-proxy would on a fresh node: at the top, in its order,
    /// * leaves one of several equal jumps,
    /// * touches no rule or chain of others.
    pub fn difference(&self, saved: &str) -> Option<String> {
        difference::difference(&self.tables, &Saved::parse(saved))
    }

    /// What takes our jumps and chains away from what `iptables-save` printed: `None` if there are
    /// none, else input for `iptables-restore --noflush`. A chain to which rules of other programs
    /// jump stays; otherwise the whole removal would be refused.
    pub fn removal(&self, saved: &str) -> Option<String> {
        difference::removal(&self.tables, &Saved::parse(saved))
    }

    /// What kube-proxy left beside this rule set, which stays: chains and jumps of its iptables mode.
    /// Input for `iptables-restore --noflush`, as that of [`RuleSet::removal`].
    pub fn leftovers(&self, saved: &str) -> Option<String> {
        leftover::removal(&self.tables, &Saved::parse(saved))
    }
}

/// What takes away all that kube-proxy left in what `iptables-save` printed, in its modes iptables
/// and ipvs, whose chains are ours too: `None` if there is nothing, else input for
/// `iptables-restore --noflush`. A chain to which rules of other programs jump stays.
pub fn kube_proxy_removal(saved: &str) -> Option<String> {
    leftover::removal(&[], &Saved::parse(saved))
}

/// Descriptions of the rules and chains that such input removes, one each: `nat chain
/// KUBE-SERVICES`.
pub fn removed_objects(input: &str) -> Vec<String> {
    leftover::objects(input)
}
