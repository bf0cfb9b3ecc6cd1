//! Prepares what does not depend on Services: sysctls, the dummy interface, sets, rules.

use ipnet::IpNet;
use tracing::{info, warn};
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::dummy::{self, Dummy};
use trimtab_host::ipset::{self, Ensured, SetSpec};
use trimtab_host::modules;
use trimtab_host::rules::DetectLocal;
use trimtab_netlink::Socket;

use crate::error::Error;
use crate::options::Options;
use trimtab_metrics as metric;

use super::connection_table::module_options;
use super::packet_filter::PacketFilters;
use super::sysctls::{Sysctls, Which};

/// Sets how rates are measured, if configured. If this kernel lacks a sysctl for it, that is only a
/// warning: everything else works.
fn estimation(options: &Options) -> Vec<String> {
    options.estimation.apply(&options.sysctl_path).unwrap_or_else(|error| {
        warn!("{error}");
        Vec::new()
    })
}

/// Creates the dummy interface if it is missing.
pub(super) fn dummy(route: &mut Socket) -> Result<Dummy, trimtab_host::Error> {
    dummy::ensure(route, DUMMY_INTERFACE)
}

/// Creates missing sets; returns a description of what was done.
pub(super) fn sets(client: &mut ipset::Client, families: &[Family]) -> Result<Vec<String>, Error> {
    let wanted: Vec<SetId> = SetId::all().filter(|set| families.contains(&set.family)).collect();
    let specs: Vec<_> = wanted.iter().map(|set| SetSpec::of(*set, 0)).collect();
    let mut done = Vec::new();
    for (set, outcome) in wanted.iter().zip(ipset::ensure(client, &specs)?) {
        match outcome.map_err(|source| Error::Set { set: *set, source })? {
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

/// Repairs our part of the packet filter where it differs; returns a description of what was done.
pub(super) fn rules(
    options: &Options,
    pod_networks: &[IpNet],
    families: &[Family],
    filters: PacketFilters,
) -> Result<Vec<String>, Error> {
    let mut done = Vec::new();
    for rules in options.rules.rule_sets(pod_networks, families)? {
        let family = rules.family();
        let ensured = filters.of(family).ensure(&rules);
        if ensured.inspect_err(|_| metric::rules_failed(family))? {
            done.push(format!("wrote the {family} packet-filter rules"));
        }
    }
    Ok(done)
}

/// Sets IPVS's own timeouts, if configured.
pub(super) fn timeouts(ipvs: &mut trimtab_ipvs::Client, options: &Options) {
    // Zero keeps the kernel's value, as in the configuration.
    let seconds = |time: std::time::Duration| {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        (seconds > 0).then_some(seconds)
    };
    let [tcp, tcp_fin, udp] = options.timeouts.map(seconds);
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

/// Does what needs more privileges than the main program has: loads modules that the kernel may not
/// load by itself for a process without `CAP_SYS_MODULE`, and sets sysctls and timeouts. Touches
/// nothing that depends on objects. A failed step is only a warning: the main program will report
/// what is missing.
///
/// # Errors
/// If the configured path of the sysctls is not a directory, or the kernel has no IPVS.
pub fn init(options: &Options) -> Result<(), Error> {
    // First, because its parameters are read when it is loaded.
    let mut ipvs = trimtab_ipvs::Client::connect(&module_options(options))?;
    let filters = PacketFilters::choose(options.iptables_backend);
    let wanted = modules::wanted(options.scheduler.name(), filters.backend());
    let outcome = modules::load(&wanted);
    if !outcome.loaded.is_empty() {
        info!(modules = outcome.loaded.join(" "), "loaded kernel modules");
    }
    if !outcome.complaint.is_empty() {
        info!(
            modprobe = outcome.complaint,
            "some modules could not be loaded; this is fine if they are built into the kernel"
        );
    }
    let mut done = Sysctls::new(options)?.apply(&options.sysctl_path, Which::AtStart);
    done.extend(estimation(options));
    for line in done {
        info!("{line}");
    }
    timeouts(&mut ipvs, options);
    Ok(())
}

impl super::Linux {
    pub(super) fn prepare_host(&mut self) -> Result<(), Error> {
        if self.options.rules.detect == DetectLocal::NodeNetworks
            && self.pod_networks.borrow().is_empty()
        {
            return Err(Error::NoPodNetworks);
        }
        let mut done = self.sysctls.apply(&self.options.sysctl_path, Which::AtStart);
        done.extend(estimation(&self.options));
        timeouts(self.ipvs.client(), &self.options);
        super::connection_table::check(self.ipvs.client(), &self.options)?;
        dummy(&mut self.route)?;
        done.extend(sets(&mut self.sets, &self.families)?);
        let networks = self.pod_networks.borrow().clone();
        done.extend(rules(&self.options, &networks, &self.families, self.filters)?);
        for line in done {
            info!("{line}");
        }
        Ok(())
    }
}
