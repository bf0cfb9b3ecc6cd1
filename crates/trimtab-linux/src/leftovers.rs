//! Rules that kube-proxy's other modes left on the node and that translate packets before IPVS sees
//! them.

use std::collections::BTreeMap;

use trimtab_core::Family;
use trimtab_host::nftables;
use trimtab_host::rules::{Backend, PacketFilter, RuleSet, kube_proxy_removal, removed_objects};
use trimtab_netlink::Socket;

use super::packet_filter::PacketFilters;
use crate::error::Error;

/// Removes the tables of kube-proxy's nftables mode and the chains and jumps of its iptables mode,
/// and, in the kind of iptables that Trimtab does not use, those of its IPVS mode. `ours` stays.
/// Returns a description of what was removed.
///
/// Open connections continue: connection tracking keeps translating them without a rule.
pub(super) fn remove(
    filters: PacketFilters,
    ours: &[RuleSet],
    netfilter: &mut Socket,
) -> Result<Vec<String>, Error> {
    let mut removed = of_nftables_mode(netfilter)?;
    for rules in ours {
        let saved = filters.of(rules.family()).save()?;
        removed.extend(beside(filters, rules, &saved)?);
    }
    removed.extend(of_other_kind(filters)?);
    Ok(removed)
}

/// Removes the tables of kube-proxy's nftables mode.
pub(super) fn of_nftables_mode(netfilter: &mut Socket) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for family in nftables::kube_proxy_tables(netfilter)? {
        if nftables::delete_kube_proxy_table(netfilter, family)? {
            removed.push(format!("the nftables table kube-proxy of {family}"));
        }
    }
    Ok(removed)
}

/// Removes what kube-proxy left beside our rules in what `iptables-save` printed.
pub(super) fn beside(
    filters: PacketFilters,
    ours: &RuleSet,
    saved: &str,
) -> Result<Option<String>, Error> {
    let Some(input) = ours.leftovers(saved) else { return Ok(None) };
    let filter = filters.of(ours.family());
    take_away(&filter, &input, ours.family(), filters.backend()).map(Some)
}

/// Removes what kube-proxy left in the kind of iptables that Trimtab does not use.
pub(super) fn of_other_kind(filters: PacketFilters) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let Some(other) = filters.backend().map(Backend::other) else { return Ok(removed) };
    for family in Family::ALL {
        let filter = PacketFilter::of(Some(other), family);
        // It is fine if the programs of the other kind are not installed.
        let Ok(saved) = filter.save() else { continue };
        if let Some(input) = kube_proxy_removal(&saved) {
            removed.push(take_away(&filter, &input, family, Some(other))?);
        }
    }
    Ok(removed)
}

fn take_away(
    filter: &PacketFilter,
    input: &str,
    family: Family,
    backend: Option<Backend>,
) -> Result<String, Error> {
    filter.restore(input)?;
    let kind = backend.map_or_else(String::new, |backend| format!(" of iptables-{backend}"));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for object in removed_objects(input) {
        let words: Vec<&str> = object.splitn(3, ' ').collect();
        *counts.entry(words.get(..2).unwrap_or_default().join(" ")).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.into_iter().map(|(what, count)| format!("{what}s: {count}")).collect();
    Ok(format!("{family} rules{kind} that kube-proxy left ({})", counts.join(", ")))
}
