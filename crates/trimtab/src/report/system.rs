//! The host: versions, sysctls, modules.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::sysctl;
use trimtab_linux::{Options, host};

use super::Text;

/// Settings that are not among those which Trimtab sets, below /proc/sys.
const SYSCTLS: [&str; 16] = [
    "net/core/somaxconn",
    "net/ipv4/conf/all/arp_announce",
    "net/ipv4/conf/all/arp_ignore",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/default/rp_filter",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/all/forwarding",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
];
/// All settings of IPVS are in this folder.
const IPVS: &str = "net/ipv4/vs";
/// How the names of modules begin that forwarding depends on.
const MODULES: [&str; 9] =
    ["br_netfilter", "dummy", "ip6_tables", "ip6table", "ip_", "iptable", "nf", "nft", "x"];

pub(crate) fn version(room: usize) -> Text {
    let mut text = Text::new(room);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let name = rustix::system::uname();
    let _ = writeln!(text, "trimtab {}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        text,
        "{} {} {} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy(),
        name.version().to_string_lossy(),
        name.machine().to_string_lossy()
    );
    let memory = host::total_memory().unwrap_or_default() >> 20;
    let _ = writeln!(text, "{} possible CPUs, {memory} MiB of memory", host::possible_cpus());
    let _ = writeln!(
        text,
        "up for {} seconds",
        read("/proc/uptime").split('.').next().unwrap_or_default()
    );
    text.push_str(&read("/etc/os-release"));
    text
}

pub(crate) fn sysctls(options: &Options, room: usize) -> Text {
    let mut names: BTreeSet<String> = SYSCTLS.map(str::to_owned).into();
    let folder = options.sysctl_path.join(IPVS);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        names.insert(format!("{IPVS}/{}", entry.file_name().to_string_lossy()));
    }
    if let Ok(kernel) = KernelVersion::read(Path::new("/proc")) {
        let wanted = sysctl::Options {
            strict_arp: options.strict_arp,
            conntrack: options.conntrack.clone(),
        };
        names.extend(sysctl::wanted(kernel, &wanted).into_iter().map(|one| one.name.to_owned()));
    }
    let mut text = Text::new(room);
    for name in names {
        let value = std::fs::read_to_string(options.sysctl_path.join(&name));
        let value =
            value.map_or_else(|error| format!("({error})"), |value| value.trim().to_owned());
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// Name, size and users of each module, as in /proc/modules.
pub(crate) fn modules(room: usize) -> anyhow::Result<Text> {
    let mut text = Text::new(room);
    for line in std::fs::read_to_string("/proc/modules")?.lines() {
        if MODULES.iter().any(|start| line.starts_with(start)) {
            let words: Vec<&str> = line.split(' ').take(4).collect();
            let _ = writeln!(text, "{}", words.join(" "));
        }
    }
    Ok(text)
}
