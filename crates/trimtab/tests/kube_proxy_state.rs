//! `trimtab plan` against the state that a real kube-proxy left behind (`kube-proxy-state/`): line
//! by line the same, except for the intended differences listed here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// A rule that only one of the two has. Comments are left out, and IPv6 sets have the names of the
/// IPv4 sets.
struct Difference {
    family: &'static str,
    chain: (&'static str, &'static str),
    whose: Whose,
    rule: &'static str,
    why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    KubeProxy,
    Trimtab,
}

/// The rule is there whether or not its set has an element, so that rules never change with a
/// Service. [`sets_of_always_present_rules_are_empty`] checks that it does nothing here.
const ALWAYS_PRESENT: &str = "rules do not come and go with elements";
const NODE_KEPT_OUT: &str = "the node itself is kept out of restricted VIPs by one mark, and not by \
                             one rule a VIP";
const INSIDE: &str = "clients inside the cluster may have a virtual server of their own";
const NO_PHYSDEV: &str = "accepts what the next rule accepts too, and would load br_netfilter";

const BOTH: [&str; 2] = ["ipv4", "ipv6"];

fn differences() -> Vec<Difference> {
    let mut all = Vec::new();
    let mut add = |families: &[&'static str], chain, whose, rule, why| {
        all.extend(families.iter().map(|family| Difference { family, chain, whose, rule, why }));
    };
    let services = ("nat", "KUBE-SERVICES");
    let out_filter = ("filter", "KUBE-IPVS-OUT-FILTER");
    add(
        &["ipv4"],
        out_filter,
        Whose::KubeProxy,
        "-s 203.0.113.1/32 -m ipvs --vproto 6 --vaddr 203.0.113.1 --vport 443 -j DROP",
        NODE_KEPT_OUT,
    );
    add(&BOTH, out_filter, Whose::Trimtab, "-m mark --mark 0x8000/0x8000 -j DROP", NODE_KEPT_OUT);
    add(
        &BOTH,
        services,
        Whose::Trimtab,
        "-m addrtype --src-type LOCAL -m set --match-set KUBE-LOAD-BALANCER-FW dst,dst \
         -m set ! --match-set KUBE-LOAD-BALANCER-SOURCE-IP dst,dst,dst \
         -j MARK --set-xmark 0x8000/0x8000",
        NODE_KEPT_OUT,
    );
    add(
        &BOTH,
        services,
        Whose::Trimtab,
        "-m set --match-set TRIMTAB-INSIDE dst,dst -j TRIMTAB-INSIDE",
        INSIDE,
    );
    for rule in [
        "-m mark --mark 0x1000/0xffffff00 -m addrtype --src-type LOCAL -j MARK --set-xmark \
         0x4000/0xffffffff",
        "-m mark --mark 0x1000/0xffffff00 -j MARK --set-xmark 0x0/0xffffffff",
    ] {
        add(&BOTH, ("nat", "KUBE-POSTROUTING"), Whose::Trimtab, rule, INSIDE);
    }
    add(
        &["ipv4"],
        services,
        Whose::KubeProxy,
        "-m set --match-set KUBE-EXTERNAL-IP dst,dst -m physdev ! --physdev-is-in \
         -m addrtype ! --src-type LOCAL -j ACCEPT",
        NO_PHYSDEV,
    );
    let node_port = ("nat", "KUBE-NODE-PORT");
    let ranges = ("filter", "KUBE-SOURCE-RANGES-FIREWALL");
    let empty: [(&[&'static str], _, _); 13] = [
        (
            &BOTH,
            services,
            "-m set --match-set KUBE-EXTERNAL-IP-LOCAL dst,dst -m addrtype --dst-type LOCAL -j ACCEPT",
        ),
        (&BOTH, node_port, "-p udp -m set --match-set KUBE-NODE-PORT-LOCAL-UDP dst -j RETURN"),
        (
            &BOTH,
            node_port,
            "-p sctp -m set --match-set KUBE-NODE-PORT-LOCAL-SCTP-HASH dst,dst -j RETURN",
        ),
        (&BOTH, ranges, "-m set --match-set KUBE-LOAD-BALANCER-SOURCE-IP dst,dst,src -j RETURN"),
        (
            &["ipv6"],
            ranges,
            "-m set --match-set KUBE-LOAD-BALANCER-SOURCE-CIDR dst,dst,src -j RETURN",
        ),
        (
            &["ipv6"],
            ("filter", "KUBE-PROXY-FIREWALL"),
            "-m set --match-set KUBE-LOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL",
        ),
        (
            &["ipv6"],
            ("nat", "KUBE-LOAD-BALANCER"),
            "-m set --match-set KUBE-LOAD-BALANCER-LOCAL dst,dst -j RETURN",
        ),
        (&["ipv6"], node_port, "-p tcp -m set --match-set KUBE-NODE-PORT-LOCAL-TCP dst -j RETURN"),
        (
            &["ipv6"],
            node_port,
            "-p sctp -m set --match-set KUBE-NODE-PORT-SCTP-HASH dst,dst -j KUBE-MARK-MASQ",
        ),
        (
            &["ipv6"],
            services,
            "-m set --match-set KUBE-LOAD-BALANCER dst,dst -j KUBE-LOAD-BALANCER",
        ),
        (&["ipv6"], services, "-m set --match-set KUBE-EXTERNAL-IP dst,dst -j KUBE-MARK-MASQ"),
        (
            &["ipv6"],
            services,
            "-m set --match-set KUBE-EXTERNAL-IP dst,dst -m addrtype --dst-type LOCAL -j ACCEPT",
        ),
        (&["ipv6"], services, "-m set --match-set KUBE-LOAD-BALANCER dst,dst -j ACCEPT"),
    ];
    for (families, chain, rule) in empty {
        add(families, chain, Whose::Trimtab, rule, ALWAYS_PRESENT);
    }
    all
}

fn recorded(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "kube-proxy-state"].iter().collect()
}

fn plan(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["plan", "-f", "objects.yaml", "--config", "config.yaml"])
        .args(["--local-address", "eth0=10.0.0.10", "--local-address", "eth0=fd00:10::10"])
        .args(arguments)
        .current_dir(folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lines in an order that does not depend on the program that printed them.
fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Without the parameters that the kernel chose when it created the set.
fn sets(text: &str) -> BTreeSet<String> {
    lines(text)
        .into_iter()
        .map(|line| line.split(" bucketsize").next().unwrap_or_default().to_owned())
        .collect()
}

/// Rules by table and chain, in their order. Jumps keep their comments, by which each of the two
/// proxies recognises the other's.
type Rules = BTreeMap<(String, String), Vec<String>>;

fn rules(text: &str) -> Rules {
    let mut table = String::new();
    let mut rules = Rules::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(chain) = line.strip_prefix(':').filter(|name| name.starts_with("KUBE")) {
            let chain = chain.split(' ').next().unwrap();
            rules.entry((table.clone(), chain.to_owned())).or_default();
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (chain, rule) = rule.split_once(' ').unwrap();
            let rule = if chain.starts_with("KUBE") { uncommented(rule) } else { rule.to_owned() };
            let rule = rule.replace("KUBE-6-", "KUBE-").replace("TRIMTAB-6-", "TRIMTAB-");
            // IPv6's names are cut to 31 bytes.
            let rule = rule.replace("-SOURCE-CID ", "-SOURCE-CIDR ");
            let rule = rule.replace("-SCTP-HAS ", "-SCTP-HASH ");
            rules.entry((table.clone(), chain.to_owned())).or_default().push(rule);
        }
    }
    rules
}

/// A rule without its comment, which ends at the closing quote.
fn uncommented(rule: &str) -> String {
    let Some((before, rest)) = rule.split_once("-m comment --comment \"") else {
        return rule.to_owned();
    };
    let (_, after) = rest.split_once("\" ").unwrap();
    format!("{before}{after}")
}

#[test]
fn virtual_servers_sets_and_addresses_are_those_of_kube_proxy() {
    // It serves clients inside and outside by one virtual server.
    let (inside, everybody): (BTreeSet<String>, BTreeSet<String>) =
        lines(&plan(&["-o", "ipvsadm"])).into_iter().partition(|line| line.contains(" -f "));
    assert_eq!(everybody, lines(&recorded("ipvsadm.txt")));
    assert_eq!(inside.len(), 3, "{inside:?}");
    assert_eq!(lines(&plan(&["-o", "addresses"])), lines(&recorded("addresses.txt")));
    // kube-proxy does not have the two sets of Trimtab's own.
    let (own, of_kube_proxy): (BTreeSet<String>, BTreeSet<String>) =
        sets(&plan(&["-o", "ipset"])).into_iter().partition(|line| line.contains(" TRIMTAB-"));
    assert_eq!(of_kube_proxy, sets(&recorded("ipset.txt")));
    // The sets; the load-balancer VIP, the node port and the mark of one Service.
    assert_eq!(own.len(), 4 + 3, "{own:?}");
}

#[test]
fn rules_are_those_of_kube_proxy_but_for_the_differences_listed() {
    let listed = differences();
    for (family, file) in BOTH.into_iter().zip(["iptables.txt", "ip6tables.txt"]) {
        let mut kube_proxy = rules(&recorded(file));
        let mut trimtab = rules(&plan(&["-o", "iptables", "--family", family]));
        // A table that kube-proxy does not use, and chains to which rules of ours lead.
        let input = trimtab.get_mut(&("filter".to_owned(), "INPUT".to_owned())).unwrap();
        assert!(input.pop().unwrap().ends_with(" -j TRIMTAB-INSIDE-ASIDE"));
        trimtab.retain(|(table, chain), _| table != "mangle" && !chain.starts_with("TRIMTAB-"));
        for difference in listed.iter().filter(|difference| difference.family == family) {
            let of = match difference.whose {
                Whose::KubeProxy => &mut kube_proxy,
                Whose::Trimtab => &mut trimtab,
            };
            let (table, chain) = difference.chain;
            let chain = of.get_mut(&(table.to_owned(), chain.to_owned())).unwrap();
            let at = chain.iter().position(|rule| rule == difference.rule);
            let at = at.unwrap_or_else(|| {
                panic!("{family}: {} ({}) is no difference", difference.rule, difference.why)
            });
            chain.remove(at);
        }
        assert_eq!(trimtab, kube_proxy, "{family}");
    }
}

#[test]
fn sets_of_always_present_rules_are_empty() {
    let state = recorded("ipset.txt").replace("KUBE-6-", "6 KUBE-");
    for difference in differences().iter().filter(|difference| difference.why == ALWAYS_PRESENT) {
        let set = difference.rule.split("--match-set ").nth(1).unwrap();
        let set = set.split(' ').next().unwrap();
        let six = if difference.family == "ipv6" { "6 " } else { "" };
        // The recorded names of IPv6 are cut to 31 bytes.
        let set = format!("{six}{}", &set[..set.len().min(31 - six.len())]);
        assert!(state.contains(&format!("create {set} ")), "{set}");
        assert!(!state.contains(&format!("add {set} ")), "{set}");
    }
}
