//! Kernel modules that are loaded before they are needed.
//!
//! The kernel loads most of them on first use. Others, such as the tables of legacy iptables, need
//! `modprobe` and `CAP_SYS_MODULE`.

use std::path::Path;
use std::process::{Command, Stdio};

use trimtab_core::SetId;

use crate::rules::Backend;

/// Modules for the sets and rules, for both kinds of iptables.
const ALWAYS: [&str; 14] = [
    "dummy",
    "ip_set",
    "ipt_REJECT",
    "ip6t_REJECT",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nfnetlink",
    "xt_MASQUERADE",
    "xt_addrtype",
    "xt_comment",
    "xt_connmark",
    "xt_conntrack",
    "xt_mark",
    "xt_set",
];

/// The modules that programming a node needs besides `ip_vs` itself: its scheduler, those of sets,
/// rules and connection tracking.
pub fn wanted(scheduler: &str, backend: Option<Backend>) -> Vec<String> {
    let mut modules: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    modules.push(format!("ip_vs_{scheduler}"));
    // `hash:ip,port` is in ip_set_hash_ipport.
    modules.extend(SetId::all().map(|set| {
        let name = set.kind.set_type().name().replacen(':', "_", 1).replace(',', "");
        format!("ip_set_{name}")
    }));
    let tables: &[&str] = match backend {
        Some(Backend::Legacy) => &[
            "ip_tables",
            "iptable_mangle",
            "iptable_nat",
            "iptable_filter",
            "ip6_tables",
            "ip6table_mangle",
            "ip6table_nat",
            "ip6table_filter",
        ],
        Some(Backend::Nft) | None => &["nf_tables", "nft_compat", "nft_chain_nat"],
    };
    modules.extend(tables.iter().map(|table| (*table).to_owned()));
    modules.sort();
    modules.dedup();
    modules
}

/// Whether a kernel has a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It is loaded, or built in.
    Present,
    /// It is among the modules that can be loaded.
    Loadable,
    /// It is nowhere to be found.
    Absent,
    /// Nobody can tell: the kernel's list of modules is not here.
    Unknown,
}

/// Whether the running kernel has these modules. `root` is `/` but for tests.
pub fn availability(root: &Path, modules: &[String]) -> Vec<(String, Availability)> {
    let release = std::fs::read_to_string(root.join("proc/sys/kernel/osrelease"));
    let folder = root.join("lib/modules").join(release.as_deref().unwrap_or_default().trim());
    // modules.dep(5): a line for each module, `kernel/net/ip_vs.ko.xz: ...`; modules.builtin: a path
    // on each line.
    let list = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (loadable, built_in) = (list("modules.dep"), list("modules.builtin"));
    let names = |text: &Option<String>| -> Vec<String> {
        let lines = text.as_deref().unwrap_or_default().lines();
        lines.filter_map(module_name).collect()
    };
    let (loadable_names, built_in_names) = (names(&loadable), names(&built_in));
    let of = |module: &String| {
        if root.join("sys/module").join(module).exists() || built_in_names.contains(module) {
            Availability::Present
        } else if loadable_names.contains(module) {
            Availability::Loadable
        } else if loadable.is_some() && built_in.is_some() {
            Availability::Absent
        } else {
            Availability::Unknown
        }
    };
    modules.iter().map(|module| (module.clone(), of(module))).collect()
}

/// `kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: ...` is the module `ip_vs_rr`. The kernel takes `-` for
/// `_`.
fn module_name(line: &str) -> Option<String> {
    let path = line.split(':').next()?;
    let (name, _) = path.rsplit('/').next()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// The outcome of loading modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The modules that have been loaded.
    pub loaded: Vec<String>,
    /// The error of `modprobe`, or that it is not installed, in one line; empty if all went well.
    pub complaint: String,
}

/// Loads the modules that the kernel does not list, in one run of `modprobe`, which continues after
/// a module that it does not find. There may be errors about built-in modules, which need not be
/// loaded.
pub fn load(modules: &[String]) -> Loaded {
    let has = |module: &&String| Path::new("/sys/module").join(module).exists();
    let missing: Vec<&String> = modules.iter().filter(|module| !has(module)).collect();
    if missing.is_empty() {
        return Loaded::default();
    }
    let complaint = modprobe(&missing);
    let loaded = missing.into_iter().filter(has).cloned().collect();
    Loaded { loaded, complaint }
}

fn modprobe(modules: &[&String]) -> String {
    // A daemon's `PATH` often lacks the directories of the system's programs.
    for program in ["modprobe", "/usr/sbin/modprobe", "/sbin/modprobe"] {
        let run = Command::new(program)
            .arg("-a")
            .args(modules)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        match run {
            Ok(output) if output.status.success() => return String::new(),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                return said.trim().replace('\n', "; ");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return format!("cannot run {program}: {error}"),
        }
    }
    "modprobe is not installed".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_set_and_the_tables_of_the_kind_are_wanted_once() {
        let legacy = wanted("wlc", Some(Backend::Legacy));
        for module in
            ["ip_vs_wlc", "ip_set_hash_ipportnet", "ip_set_bitmap_port", "ip6table_nat", "xt_set"]
        {
            assert_eq!(legacy.iter().filter(|name| *name == module).count(), 1, "{legacy:?}");
        }
        assert!(!wanted("rr", None).iter().any(|name| name.starts_with("iptable_")));
    }

    #[test]
    fn a_module_is_present_loadable_absent_or_unknown() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let asked: Vec<String> =
            ["ip_vs", "ip_vs_rr", "xt_set", "dummy"].map(str::to_owned).to_vec();
        let found = || availability(root.path(), &asked).into_iter().map(|(_, found)| found);
        write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        write("sys/module/ip_vs/refcnt", "1\n");
        let unknown = Availability::Unknown;
        assert!(found().eq([Availability::Present, unknown, unknown, unknown]));
        let dep =
            "kernel/net/netfilter/ipvs/ip-vs-rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n";
        write("lib/modules/6.1.0-18-amd64/modules.dep", dep);
        write("lib/modules/6.1.0-18-amd64/modules.builtin", "kernel/drivers/net/dummy.ko\n");
        let [present, loadable, absent] =
            [Availability::Present, Availability::Loadable, Availability::Absent];
        assert!(found().eq([present, loadable, absent, present]));
    }
}
