//! Differences in what does not depend on Services; nothing is changed.

use ipnet::IpNet;
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};

use crate::error::Error;
use crate::inspector::Inspector;
use crate::options::Options;
use crate::packet_filter::PacketFilters;
use crate::preflight::wrong_sysctls;

/// Descriptions of differences in the dummy interface, the sets, the rules and the sysctls.
///
/// # Errors
/// What could not be read.
pub fn differences(
    kernel: &mut Inspector,
    options: &Options,
    pod_networks: &[IpNet],
    families: &[Family],
    filters: PacketFilters,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    if !kernel.has_dummy()? {
        found.push(format!("interface {DUMMY_INTERFACE} is missing"));
    }
    for set in SetId::all().filter(|set| families.contains(&set.family)) {
        if !kernel.has_set(set)? {
            found.push(format!("ipset {set} is missing"));
        }
    }
    for rules in options.rules.rule_sets(pod_networks, families)? {
        let family = rules.family();
        if rules.difference(&filters.of(family).save()?).is_some() {
            found.push(format!("the {family} packet-filter rules differ"));
        }
    }
    for wrong in
        wrong_sysctls(trimtab_host::kernel_version::KernelVersion::read("/proc".as_ref())?, options)
    {
        let current = wrong.current.as_deref().unwrap_or("missing");
        found
            .push(format!("sysctl {} is {current}, not {}", wrong.wanted.name, wrong.wanted.value));
    }
    Ok(found)
}
