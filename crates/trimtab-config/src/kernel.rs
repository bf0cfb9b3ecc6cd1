//! The fields that tune the kernel and that kube-proxy does not have.

use std::path::PathBuf;

use trimtab_host::rules::Backend;
use trimtab_host::sysctl::EstimationOptions;
use trimtab_host::{VipBinding, cpu_list};

use crate::complaint::Wrong;
use crate::file::ConfigFile;

/// `CONFIG_IP_VS_TAB_BITS` is 8 to 20, and up to 27 from Linux 6.6 on (net/netfilter/ipvs/Kconfig).
const TABLE_BITS: std::ops::RangeInclusive<i64> = 8..=27;
/// `MIN_NICE` and `MAX_NICE` (include/linux/sched/prio.h).
const NICE: std::ops::RangeInclusive<i64> = -20..=19;
/// Where the kernel shows its sysctls (Documentation/admin-guide/sysctl/index.rst).
const PROC_SYS: &str = "/proc/sys";

pub(super) fn vip_binding(file: &ConfigFile) -> Result<VipBinding, Wrong> {
    match file.trimtab.vip_binding.as_deref() {
        None | Some("" | "address") => Ok(VipBinding::Address),
        Some("route") => Ok(VipBinding::Route),
        Some(other) => Err(Wrong::new(
            "trimtab.vipBinding",
            format!("unknown binding {other:?}: expected address or route"),
        )),
    }
}

pub(super) fn connection_table_bits(file: &ConfigFile) -> Result<Option<u8>, Wrong> {
    file.trimtab
        .connection_table_bits
        .map(|bits| in_range("connectionTableBits", bits, &TABLE_BITS))
        .transpose()
}

pub(super) fn estimation(file: &ConfigFile) -> Result<EstimationOptions, Wrong> {
    let given = &file.trimtab.estimation;
    let nice = given.nice.map(|nice| in_range("estimation.nice", nice, &NICE)).transpose()?;
    let cpus = given.cpus.as_deref().map(str::trim).filter(|cpus| !cpus.is_empty());
    if let Some(cpus) = cpus.filter(|cpus| cpu_list::parse(cpus).is_none()) {
        let message = format!("{cpus:?} is not a list of CPUs such as 0-3,8");
        return Err(Wrong::new("trimtab.estimation.cpus", message));
    }
    Ok(EstimationOptions { run: given.enabled, nice, cpus: cpus.map(str::to_owned) })
}

pub(super) fn iptables_backend(file: &ConfigFile) -> Result<Option<Backend>, Wrong> {
    match file.trimtab.iptables_backend.as_deref() {
        None | Some("" | "auto") => Ok(None),
        Some("nft") => Ok(Some(Backend::Nft)),
        Some("legacy") => Ok(Some(Backend::Legacy)),
        Some(other) => Err(Wrong::new(
            "trimtab.iptablesBackend",
            format!("unknown backend {other:?}: expected auto, nft or legacy"),
        )),
    }
}

pub(super) fn sysctl_path(file: &ConfigFile) -> PathBuf {
    let given = file.trimtab.sysctl_path.as_deref().map(str::trim);
    given.filter(|path| !path.is_empty()).unwrap_or(PROC_SYS).into()
}

fn in_range<T: TryFrom<i64>>(
    field: &str,
    value: i64,
    range: &std::ops::RangeInclusive<i64>,
) -> Result<T, Wrong> {
    let fitting = Some(value).filter(|value| range.contains(value));
    fitting.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
        let message = format!("{value} is not between {} and {}", range.start(), range.end());
        Wrong::new(format!("trimtab.{field}"), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Overrides, parse, resolve};

    fn resolved(section: &str) -> Result<crate::Config, crate::Error> {
        let text = format!("mode: ipvs\nhostnameOverride: n\ntrimtab: {section}\n");
        let (file, notes) = parse("config.yaml".as_ref(), &text).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        Ok(resolve(&file, &Overrides::default())?.0)
    }

    #[test]
    fn what_is_given_is_taken_and_what_is_not_is_left_to_the_kernel() {
        let config = resolved(
            "{vipBinding: route, connectionTableBits: 20, estimation: {enabled: false, nice: 10, \
             cpus: '0-3,8'}, sysctlPath: /host/proc-sys, iptablesBackend: legacy}",
        )
        .unwrap();
        assert_eq!(config.vip_binding, VipBinding::Route);
        assert_eq!(config.connection_table_bits, Some(20));
        let estimation =
            EstimationOptions { run: Some(false), nice: Some(10), cpus: Some("0-3,8".to_owned()) };
        assert_eq!(config.estimation, estimation);
        assert_eq!(config.iptables_backend, Some(Backend::Legacy));
        assert_eq!(config.sysctl_path, PathBuf::from("/host/proc-sys"));
        let plain = resolved("{}").unwrap();
        assert_eq!(plain.vip_binding, VipBinding::Address);
        assert_eq!(plain.connection_table_bits, None);
        assert_eq!(plain.estimation, EstimationOptions::default());
        assert_eq!(plain.iptables_backend, None);
        assert_eq!(plain.sysctl_path, PathBuf::from("/proc/sys"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (section, words) in [
            (
                "{iptablesBackend: ipset}",
                "trimtab.iptablesBackend: unknown backend \"ipset\": expected auto",
            ),
            ("{vipBinding: both}", "trimtab.vipBinding: unknown binding \"both\""),
            (
                "{connectionTableBits: 40}",
                "trimtab.connectionTableBits: 40 is not between 8 and 27",
            ),
            (
                "{externalIPs: {deniedCIDRs: [10.0.0.0/8, 10.0.0.300/8]}}",
                "trimtab.externalIPs.deniedCIDRs[1]: \"10.0.0.300/8\" is not a CIDR",
            ),
            ("{estimation: {nice: 20}}", "trimtab.estimation.nice: 20 is not between -20 and 19"),
            ("{estimation: {cpus: 3-1}}", "trimtab.estimation.cpus: \"3-1\" is not a list"),
            ("{estimation: {cpus: all}}", "trimtab.estimation.cpus: \"all\" is not a list"),
        ] {
            let error = resolved(section).unwrap_err().to_string();
            assert!(error.starts_with(&format!("config.yaml:3: {words}")), "{section}: {error}");
        }
    }
}
