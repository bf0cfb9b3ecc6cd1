//! Word of deleted rules.

use std::time::Duration;

use trimtab_core::Family;
use trimtab_host::rules::{Backend, PacketFilter, RuleMonitor, RuleOptions, RuleSet};

use crate::namespace::{isolated, run};
use crate::rules::make_sets;

/// Whether there is something to look at; a busy machine may take long.
async fn changed(monitor: &mut RuleMonitor) -> bool {
    tokio::time::timeout(Duration::from_secs(60), monitor.changed()).await.is_ok()
}

/// Waits until nothing has been reported for a second.
async fn quiet(monitor: &mut RuleMonitor) {
    while tokio::time::timeout(Duration::from_secs(1), monitor.changed()).await.is_ok() {}
}

async fn unchanged(monitor: &mut RuleMonitor) -> bool {
    tokio::time::timeout(Duration::from_secs(1), monitor.changed()).await.is_err()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn deleted_rules_are_reported_in_nftables_and_those_of_others_are_not() {
    isolated(|| {
        make_sets();
        let filters = Family::ALL.map(|family| {
            let rules = RuleSet::new(&RuleOptions::default(), family).unwrap();
            (PacketFilter::of(Some(Backend::Nft), family), rules)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut monitor = RuleMonitor::subscribe().unwrap();
            for (filter, rules) in &filters {
                assert!(filter.ensure(rules).unwrap());
            }
            quiet(&mut monitor).await;
            for command in [
                "iptables-nft -t nat -F",
                "ip6tables-nft -t nat -F KUBE-SERVICES",
                "ip6tables-nft -t filter -F",
                "iptables-nft -t filter -F && iptables-nft -t filter -X",
                "nft flush ruleset",
                "nft add table ip kube-proxy",
            ] {
                run(command);
                assert!(changed(&mut monitor).await, "{command}");
                quiet(&mut monitor).await;
                for (filter, rules) in &filters {
                    filter.ensure(rules).unwrap();
                }
                quiet(&mut monitor).await;
            }
            run("iptables-nft -t nat -N CNI-1 && iptables-nft -t nat -A CNI-1 -j RETURN");
            run("iptables-nft -t nat -F CNI-1 && iptables-nft -t nat -X CNI-1");
            run("nft 'add table inet other; add chain inet other a; flush ruleset inet'");
            assert!(unchanged(&mut monitor).await);
        });
    });
}
