//! Reads the state of a node before anything is programmed, and changes nothing.

use std::path::Path;

use trimtab_core::Family;
use trimtab_host::capability::Capability;
use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::modules::{self, Availability};
use trimtab_host::nftables;
use trimtab_host::rules::{Backend, Choice, PacketFilter, Survey, choose, kube_proxy_removal};
use trimtab_host::sysctl::{self, Options as SysctlOptions, Sysctl};
use trimtab_netlink::Socket;

use crate::connection_table;
use crate::inspector::ipvs_as_found;
use crate::options::Options;

/// The state of a node. What could not be read is `None`, or missing from a list.
#[derive(Debug)]
pub struct Preflight {
    /// The kernel's version.
    pub kernel: Option<KernelVersion>,
    /// Every module that is needed, and whether the kernel has it.
    pub modules: Vec<(String, Availability)>,
    /// A capability that this process lacks.
    pub missing_capability: Option<Capability>,
    /// The kind of iptables that `trimtab run` would use, and why.
    pub iptables: Choice,
    /// The kinds of iptables that have programs here.
    pub kinds: Vec<(Backend, Survey)>,
    /// The families whose programs are missing.
    pub without_programs: Vec<Family>,
    /// Sysctls with a wrong value.
    pub sysctls: Vec<WrongSysctl>,
    /// A description of what kube-proxy left in another mode.
    pub leftovers: Vec<String>,
    /// IPVS's connection table, if it is too small: its buckets, and the size to load IPVS with.
    pub small_connection_table: Option<(u32, u32)>,
    /// Number of virtual servers in the kernel, of all programs.
    pub virtual_servers: Option<usize>,
}

/// A sysctl with a wrong value.
#[derive(Debug)]
pub struct WrongSysctl {
    /// The sysctl and the value that it must have.
    pub wanted: Sysctl,
    /// The value that it has; `None` if the kernel does not show it yet.
    pub current: Option<String>,
    /// Whether this process could write it.
    pub is_writable: bool,
}

impl Preflight {
    /// Reads the state of this node.
    pub fn read(options: &Options) -> Self {
        let kinds: Vec<(Backend, Survey)> = Backend::ALL
            .into_iter()
            .filter_map(|backend| Some((backend, Survey::take(backend)?)))
            .collect();
        let survey = |of: Backend| {
            kinds.iter().find(|(backend, _)| *backend == of).map(|(_, survey)| *survey)
        };
        let iptables = match options.iptables_backend {
            Some(backend) => Choice { backend: Some(backend), why: "configured".to_owned() },
            None => choose(survey(Backend::Nft), survey(Backend::Legacy)),
        };
        let kernel = KernelVersion::read(Path::new("/proc")).ok();
        let mut wanted = vec!["ip_vs".to_owned()];
        wanted.extend(modules::wanted(options.scheduler.name(), iptables.backend));
        let (virtual_servers, small_connection_table) = match ipvs_as_found().ok().flatten() {
            Some(mut ipvs) => (
                ipvs.virtual_servers().ok().map(|found| found.entries.len()),
                connection_table::shortage(&mut ipvs, options).ok().flatten(),
            ),
            None => (None, None),
        };
        Self {
            modules: modules::availability(Path::new("/"), &wanted),
            kernel,
            missing_capability: Capability::first_missing(),
            without_programs: without_programs(iptables.backend),
            leftovers: leftovers(&kinds),
            sysctls: kernel.map_or_else(Vec::new, |kernel| wrong_sysctls(kernel, options)),
            iptables,
            kinds,
            small_connection_table,
            virtual_servers,
        }
    }
}

fn without_programs(backend: Option<Backend>) -> Vec<Family> {
    let is_missing = |family: &Family| {
        PacketFilter::of(backend, *family).save().is_err_and(|error| error.is_no_program())
    };
    Family::ALL.into_iter().filter(is_missing).collect()
}

pub(super) fn wrong_sysctls(kernel: KernelVersion, options: &Options) -> Vec<WrongSysctl> {
    let wanted =
        SysctlOptions { strict_arp: options.strict_arp, conntrack: options.conntrack.clone() };
    let wanted = sysctl::wanted(kernel, &wanted).into_iter();
    let wrong = wanted.filter_map(|wanted| {
        let path = options.sysctl_path.join(wanted.name);
        let current = std::fs::read_to_string(&path).ok().map(|text| text.trim().to_owned());
        if current.as_ref().is_some_and(|text| text.parse() == Ok(wanted.value)) {
            return None;
        }
        // Opening changes nothing; only a write would.
        let is_writable = std::fs::OpenOptions::new().write(true).open(&path).is_ok();
        Some(WrongSysctl { wanted, current, is_writable })
    });
    wrong.collect()
}

fn leftovers(kinds: &[(Backend, Survey)]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(mut netfilter) = Socket::open(trimtab_netlink::Family::Netfilter) {
        let tables = nftables::kube_proxy_tables(&mut netfilter).unwrap_or_default();
        found.extend(
            tables
                .into_iter()
                .map(|family| format!("the nftables table {} of {family}", nftables::KUBE_PROXY)),
        );
    }
    for (backend, _) in kinds {
        for family in Family::ALL {
            let saved = PacketFilter::of(Some(*backend), family).save();
            if saved.is_ok_and(|saved| kube_proxy_removal(&saved).is_some()) {
                found.push(format!("kube-proxy's {family} chains in iptables-{backend}"));
            }
        }
    }
    found
}
