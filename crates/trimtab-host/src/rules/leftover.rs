//! What kube-proxy leaves in the packet filter, in any of its modes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::difference::{deletion, names_ours};
use super::saved::{Saved, SavedRule, SavedTable};
use super::syntax::PrintedRule;
use super::table::Table;

/// kube-proxy's chains in one table, of its modes iptables and ipvs. The kubelet's KUBE-FIREWALL,
/// KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT and KUBE-MARK-DROP are not among them.
struct Chains {
    table: &'static str,
    names: &'static [&'static str],
    prefixes: &'static [&'static str],
}

/// What KUBE-SERVICES and built-in chains lead to in our own rule set alone. It is nothing without
/// KUBE-SERVICES, and goes with it where Trimtab's rules are in another kind of iptables now.
const OWN: &str = "TRIMTAB-";

const CHAINS: [Chains; 3] = [
    Chains {
        table: "nat",
        names: &[
            "KUBE-LOAD-BALANCER",
            "KUBE-MARK-MASQ",
            "KUBE-NODE-PORT",
            "KUBE-NODEPORTS",
            "KUBE-POSTROUTING",
            "KUBE-PROXY-CANARY",
            "KUBE-SERVICES",
        ],
        prefixes: &[
            "KUBE-SVC-",
            "KUBE-SVL-",
            "KUBE-SEP-",
            "KUBE-EXT-",
            "KUBE-FW-",
            "KUBE-XLB-",
            OWN,
        ],
    },
    Chains {
        table: "filter",
        names: &[
            "KUBE-EXTERNAL-SERVICES",
            "KUBE-FORWARD",
            "KUBE-IPVS-FILTER",
            "KUBE-IPVS-OUT-FILTER",
            "KUBE-NODE-PORT",
            "KUBE-NODEPORTS",
            "KUBE-PROXY-CANARY",
            "KUBE-PROXY-FIREWALL",
            "KUBE-SERVICES",
            "KUBE-SOURCE-RANGES-FIREWALL",
        ],
        prefixes: &[OWN],
    },
    Chains { table: "mangle", names: &["KUBE-PROXY-CANARY"], prefixes: &[OWN] },
];

impl Chains {
    fn has(&self, chain: &str) -> bool {
        self.names.contains(&chain) || self.prefixes.iter().any(|prefix| chain.starts_with(prefix))
    }
}

/// The chains in which kube-proxy has jumps (include/uapi/linux/netfilter.h names the hooks).
const BUILT_IN: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// The input that takes kube-proxy's jumps and chains away, but for the chains of `kept` and the
/// jumps to them that they want; `None` if there are none.
pub(super) fn removal(kept: &[Table], saved: &Saved<'_>) -> Option<String> {
    let mut input = String::new();
    for chains in &CHAINS {
        let Some(present) = saved.table(chains.table) else { continue };
        let kept = kept.iter().find(|table| table.name == chains.table);
        let doomed: BTreeSet<&str> =
            present.chains().filter(|chain| chains.has(chain) && !is_kept(kept, chain)).collect();
        let is_jump = |rule: &SavedRule<'_>| {
            // Most rules belong to other programs: do not parse them.
            BUILT_IN.contains(&rule.chain) && names_ours(rule.text) && {
                let parsed = rule.parse();
                let target = parsed.target().unwrap_or_default();
                match kept {
                    _ if !is_jump_of_kube_proxy(&parsed) => false,
                    _ if doomed.contains(target) => true,
                    // To a chain that stays, kube-proxy's jump has a condition and ours has none.
                    Some(_) => is_kept(kept, target) && !parsed.is_unconditional(),
                    None => false,
                }
            }
        };
        let jumps: Vec<SavedRule<'_>> = present.rules().filter(is_jump).collect();
        let used = used_by_others(&doomed, &jumps, present);
        let doomed: Vec<&str> = doomed.into_iter().filter(|chain| !used.contains(chain)).collect();
        if jumps.is_empty() && doomed.is_empty() {
            continue;
        }
        let _ = writeln!(input, "*{}", chains.table);
        // Naming a chain empties it, so that none refers to another when they are deleted.
        for chain in &doomed {
            let _ = writeln!(input, ":{chain} - [0:0]");
        }
        for jump in &jumps {
            input.push_str(&deletion(jump));
        }
        for chain in &doomed {
            let _ = writeln!(input, "-X {chain}");
        }
        input.push_str("COMMIT\n");
    }
    (!input.is_empty()).then_some(input)
}

/// What input for `iptables-restore` takes away, an object each: rules as `iptables-save` prints
/// them, chains by name.
pub(super) fn objects(input: &str) -> Vec<String> {
    let mut table = "";
    let mut found = Vec::new();
    for line in input.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(rule) = line.strip_prefix("-D ") {
            found.push(format!("{table} rule -A {rule}"));
        } else if let Some(chain) = line.strip_prefix("-X ") {
            found.push(format!("{table} chain {chain}"));
        }
    }
    found
}

fn is_kept(kept: Option<&Table>, chain: &str) -> bool {
    kept.is_some_and(|table| table.chains.iter().any(|kept| kept.name == chain))
}

/// kube-proxy's jumps hold for every packet, or for the first of each connection. A jump with
/// another condition belongs to another program.
fn is_jump_of_kube_proxy(rule: &PrintedRule) -> bool {
    rule.is_unconditional() || rule.holds_for_new_connections()
}

/// Those of the chains to delete to which rules of other programs jump, and all chains reachable
/// from them.
fn used_by_others<'a>(
    doomed: &BTreeSet<&'a str>,
    jumps: &[SavedRule<'_>],
    present: &SavedTable<'a>,
) -> BTreeSet<&'a str> {
    let is_jump = |rule: &SavedRule<'_>| {
        jumps.iter().any(|jump| jump.chain == rule.chain && jump.text == rule.text)
    };
    let leads = |rule: SavedRule<'a>| {
        let parsed = rule.parse();
        let target = doomed.get(parsed.target()?)?;
        Some((rule.chain, *target))
    };
    let from_outside = present
        .rules()
        .filter(|rule| !doomed.contains(rule.chain) && names_ours(rule.text))
        .filter(|rule| !is_jump(rule));
    let mut found: BTreeSet<&str> = from_outside.filter_map(leads).map(|(_, to)| to).collect();
    if found.is_empty() {
        return found;
    }
    let inside: Vec<(&str, &str)> =
        present.rules().filter(|rule| doomed.contains(rule.chain)).filter_map(leads).collect();
    loop {
        let before = found.len();
        for (from, to) in &inside {
            if found.contains(from) {
                found.insert(to);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use trimtab_core::Family;

    use super::*;
    use crate::rules::{RuleOptions, RuleSet};

    /// What kube-proxy's iptables mode writes for a Service, with rules of the kubelet and of others.
    const IPTABLES_MODE: &str = r#"*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A INPUT -p tcp -j MINE
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-AAAA - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-BBBB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-BBBB
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-BBBB -j KUBE-SEP-AAAA
-A KUBE-SEP-AAAA -p tcp -j DNAT --to-destination 10.244.0.1:6443
COMMIT
"#;

    fn removed(kept: &[Table], saved: &str) -> Vec<String> {
        objects(&removal(kept, &Saved::parse(saved)).unwrap_or_default())
    }

    #[test]
    fn all_of_kube_proxys_goes_and_nothing_of_the_kubelets_or_of_others() {
        let removed = removed(&[], IPTABLES_MODE);
        for object in [
            "mangle chain KUBE-PROXY-CANARY",
            "filter chain KUBE-EXTERNAL-SERVICES",
            "filter chain KUBE-PROXY-FIREWALL",
            "nat chain KUBE-SERVICES",
            "nat chain KUBE-SVC-BBBB",
            "nat chain KUBE-SEP-AAAA",
            "nat rule -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES",
        ] {
            assert!(removed.iter().any(|found| found == object), "{object}: {removed:#?}");
        }
        let rules = removed.iter().filter(|object| object.contains(" rule ")).count();
        assert_eq!((rules, removed.len()), (7, 7 + 12), "{removed:#?}");
        for kept in ["KUBELET", "HINT", "KUBE-FIREWALL", "MINE"] {
            assert!(!removed.iter().any(|object| object.contains(kept)), "{removed:#?}");
        }
    }

    #[test]
    fn beside_our_rules_only_what_is_not_ours_goes() {
        let ours = RuleSet::new(&RuleOptions::default(), Family::V4).unwrap();
        // Our own rules alone are not leftovers.
        assert_eq!(ours.leftovers(&ours.restore_input()), None);
        // KUBE-SERVICES of the nat table has our rules by the time that leftovers are looked for.
        let settled: String = IPTABLES_MODE
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("-A KUBE-SERVICES"))
            .collect();
        let removed = objects(&ours.leftovers(&settled).unwrap());
        let chains: Vec<&str> = removed
            .iter()
            .filter_map(|object| object.split_once(" chain ").map(|(_, chain)| chain))
            .collect();
        let wanted = [
            "KUBE-NODEPORTS",
            "KUBE-SEP-AAAA",
            "KUBE-SVC-BBBB",
            "KUBE-EXTERNAL-SERVICES",
            "KUBE-NODEPORTS",
            "KUBE-SERVICES",
            "KUBE-PROXY-CANARY",
        ];
        assert_eq!(chains, wanted, "{removed:#?}");
        let jump = "filter rule -A INPUT -m conntrack --ctstate NEW -m comment --comment \
                    \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL";
        assert!(removed.iter().any(|object| object == jump), "{removed:#?}");
        let forward = "kubernetes forwarding rules";
        assert!(!removed.iter().any(|object| object.contains(forward)), "{removed:#?}");
    }

    #[test]
    fn a_chain_to_which_others_lead_stays_with_what_it_leads_to() {
        let foreign =
            IPTABLES_MODE.replace("-A PREROUTING", "-A MINE -j KUBE-SVC-BBBB\n-A PREROUTING");
        let removed = removed(&[], &foreign);
        for chain in ["KUBE-SVC-BBBB", "KUBE-SEP-AAAA"] {
            assert!(!removed.iter().any(|object| object.ends_with(chain)), "{removed:#?}");
        }
        assert!(removed.iter().any(|object| object == "nat chain KUBE-SERVICES"));
        assert!(!removed.iter().any(|object| object.contains("MINE")));
    }

    #[test]
    fn a_jump_on_a_condition_is_somebody_elses() {
        let foreign =
            "*nat\n:KUBE-SERVICES - [0:0]\n-A OUTPUT -d 192.0.2.1/32 -j KUBE-SERVICES\nCOMMIT\n";
        assert_eq!(removed(&[], foreign), Vec::<String>::new());
    }
}
