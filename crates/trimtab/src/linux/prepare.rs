//! What does not depend on Services: sysctls, the dummy interface, sets, rules.

use std::path::Path;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use tracing::{info, warn};
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::dummy::{self, Dummy};
use trimtab_host::ipset::{self, Ensured, SetSpec};
use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::rules::PacketFilter;
use trimtab_host::sysctl;
use trimtab_netlink::Socket;

use crate::config::Config;
use crate::metric;
use crate::rules::rule_sets;

/// Writes the sysctls that differ; returns what was written, in words.
pub(super) fn sysctls(config: &Config) -> anyhow::Result<Vec<String>> {
    let kernel = KernelVersion::read(Path::new("/proc"))?;
    let options =
        sysctl::Options { strict_arp: config.strict_arp, conntrack: config.conntrack.clone() };
    let wanted = sysctl::wanted(kernel, &options);
    let applied = sysctl::apply(Path::new("/proc/sys"), &wanted);
    let changed = applied
        .changed
        .iter()
        .map(|(sysctl, before)| format!("set sysctl {sysctl} (it was {before})"))
        .collect();
    if let Some(failed) = applied.failed.into_iter().next() {
        return Err(failed.error.into());
    }
    Ok(changed)
}

/// Sets how rates are measured, where the configuration says. What this kernel does not have is a
/// warning: everything else works.
fn estimation(config: &Config) -> Vec<String> {
    config.estimation.apply(Path::new("/proc/sys")).unwrap_or_else(|error| {
        warn!("{error}");
        Vec::new()
    })
}

/// Makes the dummy interface if it is missing.
pub(super) fn dummy(route: &mut Socket) -> Result<Dummy, trimtab_host::Error> {
    dummy::ensure(route, DUMMY_INTERFACE)
}

/// Makes the sets that are missing; returns what was done, in words.
pub(super) fn sets(client: &mut ipset::Client, families: &[Family]) -> anyhow::Result<Vec<String>> {
    let wanted: Vec<SetId> = SetId::all().filter(|set| families.contains(&set.family)).collect();
    let specs: Vec<_> = wanted.iter().map(|set| SetSpec::of(*set, 0)).collect();
    let mut done = Vec::new();
    for (set, outcome) in wanted.iter().zip(ipset::ensure(client, &specs)?) {
        match outcome.with_context(|| format!("cannot have ipset {set}"))? {
            Ensured::Adopted => {}
            Ensured::Created => done.push(format!("created ipset {set}")),
            Ensured::Grown => done.push(format!("replaced ipset {set} by a larger one")),
            Ensured::Replaced => {
                done.push(format!("replaced ipset {set}, which was of another type"));
            }
        }
    }
    Ok(done)
}

/// Puts our part of the packet filter right where it is not; returns what was done, in words.
pub(super) fn rules(
    config: &Config,
    pod_networks: &[IpNet],
    families: &[Family],
) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for rules in rule_sets(config, pod_networks, families)? {
        let family = rules.family();
        let ensured = PacketFilter::new(family).ensure(&rules);
        if ensured.inspect_err(|_| metric::rules_failed(family))? {
            done.push(format!("wrote the {family} packet-filter rules"));
        }
    }
    Ok(done)
}

/// IPVS's own timeouts, where the configuration gives any.
pub(super) fn timeouts(ipvs: &mut trimtab_ipvs::Client, config: &Config) {
    // Zero leaves the kernel's value, as in the configuration.
    let seconds = |time: std::time::Duration| {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        (seconds > 0).then_some(seconds)
    };
    let [tcp, tcp_fin, udp] = config.timeouts.map(seconds);
    if [tcp, tcp_fin, udp] == [None; 3] {
        return;
    }
    let mut batch = trimtab_ipvs::Batch::new();
    batch.set_timeouts(&trimtab_ipvs::Timeouts { tcp, tcp_fin, udp });
    match ipvs.apply(&mut batch) {
        Ok(report) => match report.failures.first() {
            None => info!(tcp, tcp_fin, udp, "set IPVS timeouts, in seconds"),
            Some(failure) => warn!("{}", batch.explain(failure)),
        },
        Err(error) => warn!(%error, "cannot set IPVS timeouts"),
    }
}

impl super::Linux {
    /// Sets sysctls and timeouts, and nothing that depends on objects: what needs to be done once
    /// with more privileges than the rest.
    ///
    /// # Errors
    /// The first sysctl that cannot be written.
    pub fn init(&mut self) -> anyhow::Result<()> {
        for line in sysctls(&self.config)? {
            info!("{line}");
        }
        timeouts(&mut self.ipvs, &self.config);
        Ok(())
    }

    pub(super) fn prepare_host(&mut self) -> anyhow::Result<()> {
        if let crate::config::Detect::NodeNetworks = self.config.detect
            && self.pod_networks.borrow().is_empty()
        {
            bail!(
                "detectLocalMode is NodeCIDR, and the Node object has no spec.podCIDRs: use another \
                 detectLocalMode, or let the controller manager allocate pod networks"
            );
        }
        let mut done = sysctls(&self.config)?;
        done.extend(estimation(&self.config));
        timeouts(&mut self.ipvs, &self.config);
        super::connection_table::check(&mut self.ipvs, &self.config)?;
        dummy(&mut self.route)?;
        done.extend(sets(&mut self.sets, &self.families)?);
        let networks = self.pod_networks.borrow().clone();
        done.extend(rules(&self.config, &networks, &self.families)?);
        for line in done {
            info!("{line}");
        }
        Ok(())
    }
}
