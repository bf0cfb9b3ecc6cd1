//! The packet filter through its programs, of both kinds.

use trimtab_core::{Family, MarkRange, SetId};
use trimtab_host::Error;
use trimtab_host::ipset::{Client, SetSpec, ensure};
use trimtab_host::rules::{LocalDetector, PacketFilter, RuleOptions, RuleSet, reserved_bits};

use crate::namespace::{isolated, run};

const KINDS: [&str; 2] = ["nft", "legacy"];

fn program(kind: &str, family: Family, what: &str) -> String {
    let six = if family == Family::V6 { "6" } else { "" };
    format!("ip{six}tables-{kind}{what}")
}

fn filter(kind: &str, family: Family) -> PacketFilter {
    PacketFilter::with_programs(program(kind, family, "-save"), program(kind, family, "-restore"))
}

fn rules(family: Family) -> RuleSet {
    RuleSet::new(&RuleOptions::default(), family).unwrap()
}

pub(crate) fn make_sets() {
    let mut client = Client::open().unwrap();
    let specs: Vec<_> = SetId::all().map(|set| SetSpec::of(set, 0)).collect();
    ensure(&mut client, &specs).unwrap().into_iter().for_each(|outcome| {
        outcome.unwrap();
    });
}

/// Runs `body` for both kinds of iptables and both families, each in its own namespace.
fn everywhere(body: fn(kind: &str, family: Family)) {
    for kind in KINDS {
        for family in Family::ALL {
            isolated(move || {
                make_sets();
                body(kind, family);
            });
        }
    }
}

/// What is in the packet filter, without remarks and counters.
fn saved(kind: &str, family: Family) -> Vec<String> {
    let command = format!("{} | grep -v '^#' | sed 's/ \\[.*//'", program(kind, family, "-save"));
    run(&command).lines().map(str::to_owned).collect()
}

fn jumps(kind: &str, family: Family, chain: &str) -> Vec<String> {
    let prefix = format!("-A {chain} ");
    saved(kind, family)
        .iter()
        .filter(|line| line.starts_with(&prefix) && line.contains("-j KUBE-"))
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_was_restored_is_what_is_wanted_whatever_the_options() {
    everywhere(|kind, family| {
        let net = match family {
            Family::V4 => "10.244.0.0/16",
            Family::V6 => "fd00:244::/56",
        };
        let detectors = [
            LocalDetector::None,
            LocalDetector::Cidr(net.parse().unwrap()),
            LocalDetector::Bridge("cni0".to_owned()),
            LocalDetector::InterfacePrefix("veth".to_owned()),
        ];
        let filter = filter(kind, family);
        let variants = detectors.into_iter().enumerate().map(|(number, local_detector)| {
            let masquerade_bit = [14, 15, 0, 31][number];
            let (masquerade_all, random_fully) = (number == 3, number % 2 == 0);
            let marks = MarkRange::DEFAULT.without(reserved_bits(masquerade_bit)).unwrap();
            RuleOptions { masquerade_bit, masquerade_all, local_detector, random_fully, marks }
        });
        for options in variants {
            let rules = RuleSet::new(&options, family).unwrap();
            assert!(filter.ensure(&rules).unwrap(), "{options:?}");
            assert!(!filter.ensure(&rules).unwrap(), "{kind} {family} {options:?}");
        }
        assert_eq!(
            jumps(kind, family, "INPUT"),
            ["KUBE-IPVS-FILTER", "KUBE-PROXY-FIREWALL", "KUBE-NODE-PORT"]
        );
        assert_eq!(jumps(kind, family, "FORWARD"), ["KUBE-PROXY-FIREWALL", "KUBE-FORWARD"]);
        assert_eq!(jumps(kind, family, "PREROUTING"), ["KUBE-SERVICES"]);
        assert!(filter.remove(&rules(family)).unwrap());
        let left = saved(kind, family);
        assert!(left.iter().all(|line| !line.contains("TRIMTAB-")), "{left:?}");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_whole_input_restored_into_empty_tables_leaves_nothing_to_do() {
    everywhere(|kind, family| {
        let (filter, rules) = (filter(kind, family), rules(family));
        filter.restore(&rules.restore_input()).unwrap();
        assert_eq!(rules.difference(&filter.save().unwrap()), None, "{kind} {family}");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn tampering_is_repaired_and_rules_of_others_stay_where_they_are() {
    everywhere(|kind, family| {
        let (filter, rules) = (filter(kind, family), rules(family));
        let iptables = program(kind, family, "");
        let address = if family == Family::V4 { "192.0.2.1" } else { "2001:db8::1" };
        filter.ensure(&rules).unwrap();
        run(&format!("{iptables} -A INPUT -s {address} -j DROP"));
        run(&format!("{iptables} -I INPUT -p udp --dport 53 -m comment --comment mine -j ACCEPT"));
        run(&format!("{iptables} -N MINE && {iptables} -A FORWARD -j MINE"));
        run(&format!("{iptables} -t nat -A POSTROUTING -s {address} -j MASQUERADE"));
        let before = saved(kind, family);
        assert!(!filter.ensure(&rules).unwrap());
        // A jump doubled, one gone, a chain emptied, a rule added, the order of one changed.
        let masquerade = format!("{iptables} -t nat");
        run(&format!(
            "{masquerade} -A OUTPUT -m comment --comment 'kubernetes service portals' \
             -j KUBE-SERVICES"
        ));
        run(&format!(
            "{iptables} -D INPUT -m comment --comment 'kube-proxy firewall rules' \
             -j KUBE-PROXY-FIREWALL"
        ));
        run(&format!("{masquerade} -F KUBE-MARK-MASQ"));
        run(&format!("{iptables} -I KUBE-IPVS-FILTER -j ACCEPT"));
        run(&format!("{masquerade} -D KUBE-SERVICES 1"));
        assert!(filter.ensure(&rules).unwrap());
        assert_eq!(saved(kind, family), before, "{kind} {family}");
        assert!(!filter.ensure(&rules).unwrap());
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_node_of_kube_proxys_keeps_its_jumps_and_gets_no_second_ones() {
    everywhere(|kind, family| {
        let set = |name: &str| match family {
            Family::V4 => format!("KUBE-{name}"),
            Family::V6 => format!("KUBE-6-{name}"),
        };
        let input = format!(
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n\
             -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" \
             -j KUBE-POSTROUTING\n\
             -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n\
             -A KUBE-SERVICES -m set --match-set {} dst,dst -j ACCEPT\nCOMMIT\n\
             *filter\n:KUBE-IPVS-FILTER - [0:0]\n\
             -A INPUT -m comment --comment \"kubernetes ipvs access filter\" -j KUBE-IPVS-FILTER\n\
             COMMIT\n",
            set("CLUSTER-IP")
        );
        let (filter, rules) = (filter(kind, family), rules(family));
        filter.restore(&input).unwrap();
        let difference = rules.difference(&filter.save().unwrap()).unwrap();
        // What is right already is not touched: a mark set another way, the jumps.
        assert!(!difference.contains(":KUBE-MARK-MASQ"), "{difference}");
        assert!(!difference.contains("PREROUTING") && !difference.contains("-D"), "{difference}");
        assert!(filter.ensure(&rules).unwrap());
        assert_eq!(jumps(kind, family, "PREROUTING"), ["KUBE-SERVICES"]);
        assert_eq!(
            jumps(kind, family, "INPUT"),
            ["KUBE-IPVS-FILTER", "KUBE-PROXY-FIREWALL", "KUBE-NODE-PORT"]
        );
        assert!(!filter.ensure(&rules).unwrap());
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn removal_leaves_what_was_there_before() {
    everywhere(|kind, family| {
        let (filter, rules) = (filter(kind, family), rules(family));
        let iptables = program(kind, family, "");
        assert!(!filter.remove(&rules).unwrap());
        run(&format!("{iptables} -A INPUT -p tcp --dport 22 -j ACCEPT"));
        run(&format!("{iptables} -t nat -N MINE && {iptables} -t nat -A OUTPUT -j MINE"));
        // Both tables are there from now on, even when empty.
        filter.ensure(&rules).unwrap();
        assert!(filter.remove(&rules).unwrap());
        let empty = saved(kind, family);
        assert!(empty.iter().all(|line| !line.contains("KUBE-")), "{empty:?}");
        assert!(empty.contains(&"-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT".to_owned()));
        filter.ensure(&rules).unwrap();
        // Somebody else's chain that uses one of ours keeps it.
        run(&format!("{iptables} -t nat -A MINE -j KUBE-MARK-MASQ"));
        assert!(filter.remove(&rules).unwrap());
        let left = saved(kind, family);
        assert!(left.contains(&"-A MINE -j KUBE-MARK-MASQ".to_owned()));
        let ours: Vec<_> = left.iter().filter(|line| line.starts_with(":KUBE-")).collect();
        assert_eq!(ours, [":KUBE-MARK-MASQ -"]);
        assert!(!filter.remove(&rules).unwrap());
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_rule_that_cannot_be_loaded_is_shown_and_its_table_stays_as_it_was() {
    for kind in KINDS {
        isolated(move || {
            let filter = filter(kind, Family::V4);
            // The sets are not there.
            let error = filter.ensure(&rules(Family::V4)).unwrap_err();
            assert!(matches!(error, Error::ProgramFailed { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("-restore failed") && text.contains("TRIMTAB-"), "{text}");
            let Error::ProgramFailed { line: Some(line), .. } = error else { panic!("{text}") };
            assert!(line.contains("-set TRIMTAB-INSIDE"), "{line}");
            let left = saved(kind, Family::V4);
            assert!(left.iter().all(|line| !line.contains("KUBE-") && !line.contains("TRIMTAB-")));
        });
    }
}
