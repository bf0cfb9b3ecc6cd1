//! Computes the changes to the existing rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::saved::{Saved, SavedRule, SavedTable};
use super::syntax::PrintedRule;
use super::table::{Chain, Jump, Table};

/// The restore input for the wanted state, if the tables differ.
pub(super) fn difference(tables: &[Table], saved: &Saved<'_>) -> Option<String> {
    let empty = SavedTable::default();
    let mut input = String::new();
    for table in tables {
        let present = saved.table(table.name).unwrap_or(&empty);
        let (mut declared, mut edits) = (String::new(), String::new());
        for chain in &table.chains {
            settle_chain(chain, present, &mut declared, &mut edits);
        }
        let mut jumps = String::new();
        let mut from: Vec<&str> = table.jumps.iter().map(|jump| jump.from).collect();
        from.dedup();
        for from in from {
            let wanted: Vec<&Jump> = table.jumps.iter().filter(|jump| jump.from == from).collect();
            settle_jumps(from, &wanted, present, &mut jumps);
        }
        if declared.is_empty() && edits.is_empty() && jumps.is_empty() {
            continue;
        }
        // Chains first, because a rule can only jump to an existing chain.
        let _ = write!(input, "*{}\n{declared}{jumps}{edits}COMMIT\n", table.name);
    }
    (!input.is_empty()).then_some(input)
}

/// The restore input that removes all our rules, if there are any.
pub(super) fn removal(tables: &[Table], saved: &Saved<'_>) -> Option<String> {
    let mut input = String::new();
    for table in tables {
        let Some(present) = saved.table(table.name) else { continue };
        let jumps: String = table
            .jumps
            .iter()
            .flat_map(|jump| {
                present.rules_of(jump.from).filter(|rule| leads_only_to(jump, &rule.parse()))
            })
            .map(|rule| deletion(&rule))
            .collect();
        let kept = used_by_others(table, present);
        let chains: Vec<&str> = table
            .chains
            .iter()
            .map(|chain| chain.name)
            .filter(|chain| present.has_chain(chain) && !kept.contains(chain))
            .collect();
        if jumps.is_empty() && chains.is_empty() {
            continue;
        }
        let _ = writeln!(input, "*{}", table.name);
        // Naming a chain empties it, so that none refers to another when they are deleted.
        for chain in &chains {
            let _ = writeln!(input, ":{chain} - [0:0]");
        }
        input.push_str(&jumps);
        for chain in &chains {
            let _ = writeln!(input, "-X {chain}");
        }
        input.push_str("COMMIT\n");
    }
    (!input.is_empty()).then_some(input)
}

/// Updates one of our chains: unchanged rules keep their place in the kernel and so their counters,
/// whether they are ours or, apart from the comment, kube-proxy's.
fn settle_chain(
    chain: &Chain,
    present: &SavedTable<'_>,
    declared: &mut String,
    edits: &mut String,
) {
    let wanted: Vec<PrintedRule> = chain
        .rules
        .iter()
        .map(|rule| PrintedRule::parse(&rule.to_string()).uncommented())
        .collect();
    let found: Vec<PrintedRule> =
        present.rules_of(chain.name).map(|rule| rule.parse().uncommented()).collect();
    let kept = common(&found, &wanted);
    if !present.has_chain(chain.name) || (kept.is_empty() && found != wanted) {
        // Naming a chain makes it, or empties it.
        let _ = writeln!(declared, ":{} - [0:0]", chain.name);
        for rule in &chain.rules {
            let _ = writeln!(edits, "-A {} {rule}", chain.name);
        }
        return;
    }
    // By number, because no other program writes here, and one of two equal rules may be in the
    // right place; from the end, so that numbers stay valid.
    for at in (0..found.len()).rev().filter(|at| !kept.iter().any(|(old, _)| old == at)) {
        let _ = writeln!(edits, "-D {} {}", chain.name, at + 1);
    }
    for at in (0..wanted.len()).filter(|at| !kept.iter().any(|(_, new)| new == at)) {
        let _ = writeln!(edits, "-I {} {} {}", chain.name, at + 1, chain.rules[at]);
    }
}

/// A longest common subsequence, as pairs of positions.
fn common(one: &[PrintedRule], other: &[PrintedRule]) -> Vec<(usize, usize)> {
    // Its length from each pair of positions on.
    let mut length = vec![vec![0; other.len() + 1]; one.len() + 1];
    for (i, left) in one.iter().enumerate().rev() {
        for (j, right) in other.iter().enumerate().rev() {
            length[i][j] = if left == right {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < one.len() && j < other.len() {
        if one[i] == other[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Deletes surplus jumps from a built-in chain and inserts missing ones.
fn settle_jumps(from: &str, wanted: &[&Jump], present: &SavedTable<'_>, input: &mut String) {
    // Which of `wanted` each rule of the chain is, as the input's lines leave it.
    let mut order: Vec<Option<usize>> = Vec::new();
    let mut found: Vec<Vec<SavedRule<'_>>> = vec![Vec::new(); wanted.len()];
    let mut exact = vec![0; wanted.len()];
    for rule in present.rules_of(from) {
        // Most rules belong to other programs: do not parse them.
        let jump = wanted
            .iter()
            .position(|jump| rule.text.contains(jump.to) && leads_only_to(jump, &rule.parse()));
        if let Some(jump) = jump {
            exact[jump] += usize::from(rule.parse() == PrintedRule::parse(&wanted[jump].rule()));
            found[jump].push(rule);
        }
        order.push(jump);
    }
    let right = |jump: usize| found[jump].len() == 1 && exact[jump] == 1;
    for jump in (0..wanted.len()).filter(|&jump| !right(jump)) {
        for rule in &found[jump] {
            input.push_str(&deletion(rule));
        }
    }
    order.retain(|rule| rule.is_none_or(right));
    for (jump, rule) in wanted.iter().enumerate().filter(|(jump, _)| !right(*jump)) {
        // After the last of those that must precede it, else at the top.
        let at = order
            .iter()
            .rposition(|rule| rule.is_some_and(|other| other < jump))
            .map_or(0, |before| before + 1);
        order.insert(at, Some(jump));
        let _ = writeln!(input, "-I {from} {} {}", at + 1, rule.rule());
    }
}

/// Whether a rule is this jump, perhaps with another comment. A conditional jump belongs to another
/// program.
fn leads_only_to(jump: &Jump, rule: &PrintedRule) -> bool {
    rule.target() == Some(jump.to) && rule.is_unconditional()
}

/// By content: a number could mean another rule by the time it is read.
pub(super) fn deletion(rule: &SavedRule<'_>) -> String {
    format!("-D {} {}\n", rule.chain, rule.text)
}

/// Those of our chains to which rules of other programs jump, and all chains reachable from them.
fn used_by_others<'a>(table: &'a Table, present: &SavedTable<'_>) -> BTreeSet<&'a str> {
    let ours = |name: &str| table.chains.iter().find(|chain| chain.name == name);
    let mut used = BTreeSet::new();
    loop {
        let before = used.len();
        for rule in present.rules().filter(|rule| names_ours(rule.text)) {
            let parsed = rule.parse();
            let Some(target) = parsed.target().and_then(ours) else { continue };
            let is_jump = table
                .jumps
                .iter()
                .any(|jump| jump.from == rule.chain && leads_only_to(jump, &parsed));
            if !is_jump && (ours(rule.chain).is_none() || used.contains(rule.chain)) {
                used.insert(target.name);
            }
        }
        if used.len() == before {
            return used;
        }
    }
}

/// Whether a rule may jump to a chain of ours: a cheap check, because most rules belong to other
/// programs.
pub(super) fn names_ours(rule: &str) -> bool {
    rule.contains("KUBE-") || rule.contains("TRIMTAB-")
}

#[cfg(test)]
mod tests;
