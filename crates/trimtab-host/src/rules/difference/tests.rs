use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use trimtab_core::Family;

use crate::rules::syntax::PrintedRule;
use crate::rules::{RuleOptions, RuleSet};

/// The tables of a packet filter, as far as `iptables-restore --noflush` can be told to change them
/// and `iptables-save` prints them. What the real program refuses, panics.
#[derive(Clone, Default)]
struct Tables(BTreeMap<String, BTreeMap<String, Vec<String>>>);

const BUILT_IN: [(&str, &[&str]); 3] = [
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
];

impl Tables {
    /// Applies restore input or what was saved, which read alike.
    fn restore(&mut self, input: &str) {
        let mut name = String::new();
        for line in input.lines() {
            if let Some(table) = line.strip_prefix('*') {
                table.clone_into(&mut name);
                let chains = self.0.entry(name.clone()).or_default();
                let (_, built_in) =
                    BUILT_IN.iter().find(|(built_in, _)| *built_in == table).unwrap();
                for chain in *built_in {
                    chains.entry((*chain).to_owned()).or_default();
                }
                continue;
            }
            let chains = self.0.get_mut(&name).expect("a table comes first");
            if let Some(chain) = line.strip_prefix(':') {
                let chain = chain.split(' ').next().unwrap();
                if !is_built_in(chain) {
                    chains.insert(chain.to_owned(), Vec::new());
                }
                continue;
            }
            if line == "COMMIT" {
                commit(chains);
                continue;
            }
            let (command, rest) = line.split_once(' ').unwrap();
            let (chain, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let rules = chains.get_mut(chain).unwrap_or_else(|| panic!("no chain: {line}"));
            match command {
                "-A" => rules.push(text.to_owned()),
                "-I" => {
                    let (position, text) = text.split_once(' ').unwrap();
                    // Panics beyond the end, as the real one fails.
                    rules.insert(position.parse::<usize>().unwrap() - 1, text.to_owned());
                }
                "-D" => {
                    let at = match text.parse::<usize>() {
                        Ok(number) => number.checked_sub(1).filter(|at| *at < rules.len()),
                        Err(_) => rules
                            .iter()
                            .position(|rule| PrintedRule::parse(rule) == PrintedRule::parse(text)),
                    };
                    rules.remove(at.unwrap_or_else(|| panic!("no such rule: {line}")));
                }
                "-X" => {
                    assert!(rules.is_empty(), "not empty: {line}");
                    chains.remove(chain);
                }
                _ => panic!("unknown command: {line}"),
            }
        }
    }

    fn save(&self) -> String {
        let mut text = String::new();
        for (name, chains) in &self.0 {
            let _ = writeln!(text, "*{name}");
            for chain in chains.keys() {
                let policy = if is_built_in(chain) { "ACCEPT" } else { "-" };
                let _ = writeln!(text, ":{chain} {policy} [0:0]");
            }
            for (chain, rules) in chains {
                for rule in rules {
                    let _ = writeln!(text, "-A {chain} {rule}");
                }
            }
            text.push_str("COMMIT\n");
        }
        text
    }

    /// All rules that are not ours, in their order.
    fn foreign(&self) -> Vec<(&str, &str, &str)> {
        let mut all = Vec::new();
        for (table, chains) in &self.0 {
            for (chain, rules) in chains.iter().filter(|(chain, _)| !is_ours(chain)) {
                let foreign = rules.iter().filter(|rule| {
                    let rule = PrintedRule::parse(rule);
                    !(rule.is_unconditional() && rule.target().is_some_and(is_ours))
                });
                all.extend(foreign.map(|rule| (table.as_str(), chain.as_str(), rule.as_str())));
            }
        }
        all
    }

    /// What it would print if there were our chains only.
    fn only_ours(&self) -> String {
        let mut tables = self.clone();
        for chains in tables.0.values_mut() {
            chains.retain(|chain, _| is_ours(chain));
        }
        tables.save()
    }

    fn ours(&self) -> Vec<&String> {
        self.0.values().flat_map(BTreeMap::keys).filter(|chain| is_ours(chain)).collect()
    }
}

/// Text of tables without the comments of rules.
fn uncommented(saved: &str) -> String {
    let mut text = String::new();
    for line in saved.lines() {
        let mut parts = line.splitn(3, '"');
        let plain = match (parts.next(), parts.next(), parts.next()) {
            (Some(before), Some(_), Some(after)) => {
                format!("{}{after}", before.replace("-m comment --comment ", "").trim_end())
            }
            _ => line.to_owned(),
        };
        let _ = writeln!(text, "{plain}");
    }
    text
}

fn is_ours(chain: &str) -> bool {
    chain.starts_with("KUBE-") || chain.starts_with("TRIMTAB-")
}

fn is_built_in(chain: &str) -> bool {
    BUILT_IN.iter().any(|(_, chains)| chains.contains(&chain))
}

/// What the kernel checks of a whole table: every chain that a rule leads to is there.
fn commit(chains: &BTreeMap<String, Vec<String>>) {
    for rule in chains.values().flatten() {
        let parsed = PrintedRule::parse(rule);
        let target = parsed.target().unwrap();
        assert!(
            target.to_uppercase() == target && !target.contains('-') || chains.contains_key(target),
            "no chain to lead to: {rule}"
        );
    }
}

fn rules(family: Family) -> RuleSet {
    RuleSet::new(&RuleOptions::default(), family).unwrap()
}

fn restored(input: &str) -> Tables {
    let mut tables = Tables::default();
    tables.restore(input);
    tables
}

/// A built-in chain's rules that lead to ours, by target.
fn jumps(tables: &Tables, table: &str, chain: &str) -> Vec<String> {
    tables.0[table][chain]
        .iter()
        .filter_map(|rule| PrintedRule::parse(rule).target().map(str::to_owned))
        .filter(|target| target.starts_with("KUBE-"))
        .collect()
}

#[test]
fn nothing_differs_from_what_was_restored() {
    for family in Family::ALL {
        let rules = rules(family);
        let saved = restored(&rules.restore_input()).save();
        assert_eq!(rules.difference(&saved), None);
    }
}

#[test]
fn an_empty_packet_filter_gets_all_rules_with_jumps_in_kube_proxys_order() {
    let rules = rules(Family::V4);
    let foreign = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j LOG\nCOMMIT\n";
    for saved in ["", foreign] {
        let mut tables = restored(saved);
        tables.restore(&rules.difference(saved).unwrap());
        assert_eq!(
            jumps(&tables, "filter", "INPUT"),
            ["KUBE-IPVS-FILTER", "KUBE-PROXY-FIREWALL", "KUBE-NODE-PORT"]
        );
        assert_eq!(jumps(&tables, "filter", "FORWARD"), ["KUBE-PROXY-FIREWALL", "KUBE-FORWARD"]);
        assert_eq!(jumps(&tables, "nat", "OUTPUT"), ["KUBE-SERVICES"]);
        assert_eq!(rules.difference(&tables.save()), None);
    }
}

#[test]
fn rules_that_stay_are_not_touched_and_comments_are_no_difference() {
    let rules = rules(Family::V4);
    let mut tables = restored(&rules.restore_input());
    let chain = tables.0.get_mut("nat").unwrap().get_mut("KUBE-NODE-PORT").unwrap();
    let gone = chain.remove(2);
    chain.insert(0, "-s 192.0.2.1/32 -j DROP".to_owned());
    for rule in chain.iter_mut() {
        *rule = rule.replace("node ports", "Kubernetes nodeport");
    }
    assert_eq!(
        rules.difference(&tables.save()).unwrap(),
        format!("*nat\n-D KUBE-NODE-PORT 1\n-I KUBE-NODE-PORT 3 {gone}\nCOMMIT\n")
    );
}

#[test]
fn a_chain_with_nothing_to_keep_is_rewritten_and_no_other() {
    let rules = rules(Family::V4);
    let mut tables = restored(&rules.restore_input());
    tables.0.get_mut("nat").unwrap().get_mut("KUBE-MARK-MASQ").unwrap().clear();
    assert_eq!(
        rules.difference(&tables.save()).unwrap(),
        "*nat\n:KUBE-MARK-MASQ - [0:0]\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\nCOMMIT\n"
    );
}

#[test]
fn a_missing_jump_goes_behind_those_before_it() {
    let rules = rules(Family::V4);
    let mut tables = restored(&rules.restore_input());
    let input = tables.0.get_mut("filter").unwrap().get_mut("INPUT").unwrap();
    input.remove(1);
    input.insert(0, "-s 192.0.2.1/32 -j DROP".to_owned());
    let expected = "*filter\n-I INPUT 3 -m comment --comment \"kube-proxy firewall rules\" \
                    -j KUBE-PROXY-FIREWALL\nCOMMIT\n";
    assert_eq!(rules.difference(&tables.save()).unwrap(), expected);
}

#[test]
fn jumps_that_differ_in_their_comment_only_become_one() {
    let rules = rules(Family::V4);
    let mut tables = restored(&rules.restore_input());
    let output = tables.0.get_mut("nat").unwrap().get_mut("OUTPUT").unwrap();
    output.push("-j KUBE-SERVICES".to_owned());
    output.push("-s 10.0.0.0/8 -j KUBE-SERVICES".to_owned());
    tables.restore(&rules.difference(&tables.save()).unwrap());
    // The conditional one belongs to another program.
    assert_eq!(
        tables.0["nat"]["OUTPUT"],
        [
            "-m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
            "-s 10.0.0.0/8 -j KUBE-SERVICES"
        ]
    );
    assert_eq!(rules.difference(&tables.save()), None);
}

#[test]
fn an_option_changes_the_chains_that_it_concerns_and_no_others() {
    let saved = restored(&rules(Family::V4).restore_input()).save();
    let options = RuleOptions { masquerade_all: true, ..RuleOptions::default() };
    let difference = RuleSet::new(&options, Family::V4).unwrap().difference(&saved).unwrap();
    assert_eq!(
        difference,
        "*nat\n-D KUBE-SERVICES 5\n-I KUBE-SERVICES 5 -m comment --comment \"cluster IPs, \
         masqueraded\" -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ\nCOMMIT\n"
    );
}

#[test]
fn removal_leaves_a_chain_that_others_use_and_what_it_leads_to() {
    let rules = rules(Family::V4);
    let mut tables = restored(&rules.restore_input());
    tables.restore(
        "*nat\n:CNI-SETMARK - [0:0]\n-A CNI-SETMARK -p tcp -j KUBE-LOAD-BALANCER\nCOMMIT\n",
    );
    tables.restore(&rules.removal(&tables.save()).unwrap());
    assert_eq!(tables.ours(), ["KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"]);
    assert_eq!(tables.0["nat"]["KUBE-MARK-MASQ"].len(), 1);
    assert_eq!(rules.removal(&tables.save()), None);
}

/// What somebody may have done to a packet filter that holds our rules.
#[derive(Clone, Debug)]
enum Damage {
    /// Rules that lead nowhere of ours, anywhere.
    Foreign,
    Drop,
    Double,
    Swap,
    Comment,
    Empty,
    Destroy,
}

fn damage() -> impl Strategy<Value = (Damage, usize, usize)> {
    use Damage::{Comment, Destroy, Double, Drop, Empty, Foreign, Swap};
    let kind = prop::sample::select(vec![Foreign, Drop, Double, Swap, Comment, Empty, Destroy]);
    (kind, any::<usize>(), any::<usize>())
}

fn inflict(tables: &mut Tables, (damage, chain, rule): (Damage, usize, usize)) {
    let names: Vec<(String, String)> = tables
        .0
        .iter()
        .flat_map(|(table, chains)| chains.keys().map(|chain| (table.clone(), chain.clone())))
        .collect();
    let (table, chain) = names[chain % names.len()].clone();
    let chains = tables.0.get_mut(&table).unwrap();
    let rules = chains.get_mut(&chain).unwrap();
    let at = if rules.is_empty() { 0 } else { rule % rules.len() };
    match damage {
        Damage::Foreign => rules.insert(at, format!("-s 192.0.2.{}/32 -j ACCEPT", rule % 256)),
        Damage::Destroy if !is_built_in(&chain) => {
            chains.remove(&chain);
            // The kernel deletes a chain only if no rule jumps to it.
            for rules in chains.values_mut() {
                rules.retain(|rule| PrintedRule::parse(rule).target() != Some(&chain));
            }
        }
        _ if rules.is_empty() => {}
        Damage::Drop => drop(rules.remove(at)),
        Damage::Double => rules.insert(at, rules[at].clone()),
        Damage::Swap => rules.swap(0, at),
        Damage::Comment => rules[at] = rules[at].replace("kube", "other"),
        Damage::Empty | Damage::Destroy => rules.retain(|rule| rule.contains("192.0.2")),
    }
}

proptest! {
    #[test]
    fn what_differs_is_repaired_in_one_step_and_others_rules_stay(
        damages in prop::collection::vec(damage(), 0..12), six in any::<bool>(),
    ) {
        let rules = rules(if six { Family::V6 } else { Family::V4 });
        let mut tables = restored(&rules.restore_input());
        for damage in damages {
            inflict(&mut tables, damage);
        }
        let before = tables.clone();
        let saved = tables.save();
        if let Some(input) = rules.difference(&saved) {
            tables.restore(&input);
        }
        prop_assert_eq!(rules.difference(&tables.save()), None);
        prop_assert_eq!(
            restored(&uncommented(&tables.only_ours())).0,
            restored(&uncommented(&restored(&rules.restore_input()).only_ours())).0
        );
        prop_assert_eq!(tables.foreign(), before.foreign());
        let mut targets = jumps(&tables, "filter", "INPUT");
        targets.sort();
        prop_assert_eq!(targets, ["KUBE-IPVS-FILTER", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL"]);
    }

    #[test]
    fn removal_takes_all_of_ours_and_nothing_else(
        damages in prop::collection::vec(damage(), 0..12),
    ) {
        let rules = rules(Family::V4);
        let mut tables = restored(&rules.restore_input());
        for damage in damages {
            inflict(&mut tables, damage);
        }
        let before = tables.clone();
        if let Some(input) = rules.removal(&tables.save()) {
            tables.restore(&input);
        }
        prop_assert_eq!(tables.ours(), Vec::<&String>::new());
        prop_assert_eq!(tables.foreign(), before.foreign());
        prop_assert_eq!(rules.removal(&tables.save()), None);
    }
}
