//! Sysctls, at startup and later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};
use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::sysctl::{self, ConntrackOptions, Options, Sysctl};

use crate::error::Error;
use crate::options::Options as KernelOptions;
use trimtab_metrics as metric;

/// The sysctls of this node: writes those that differ, and logs once which cannot be written. The
/// loop and the audit share it.
#[derive(Debug)]
pub(super) struct Sysctls {
    kernel: KernelVersion,
    options: Options,
    /// Sysctls with a wrong value that cannot be written, with the reason.
    wrong: Mutex<BTreeMap<&'static str, String>>,
}

/// Which sysctls to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    AtStart,
    /// All except those of connection tracking: as with kube-proxy, values that an operator sets
    /// after startup stay.
    Later,
}

impl Sysctls {
    /// The sysctls for this configuration and kernel.
    pub(super) fn new(options: &KernelOptions) -> Result<Self, Error> {
        if !options.sysctl_path.is_dir() {
            return Err(Error::SysctlPath(options.sysctl_path.clone()));
        }
        Ok(Self {
            kernel: KernelVersion::read(Path::new("/proc"))?,
            options: Options {
                strict_arp: options.strict_arp,
                conntrack: options.conntrack.clone(),
            },
            wrong: Mutex::default(),
        })
    }

    /// Writes those that differ below `path`; returns a description of what was written. If one
    /// cannot be written, that is only a warning, and the others are still written.
    pub(super) fn apply(&self, path: &Path, which: Which) -> Vec<String> {
        let wanted = self.wanted(which);
        let applied = sysctl::apply(path, &wanted);
        let failed: BTreeMap<&'static str, String> = applied
            .failed
            .iter()
            .filter_map(|failed| Some((wanted.get(failed.index)?.name, failed.error.to_string())))
            .collect();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        for sysctl in &wanted {
            let (before, now) = (wrong.get(sysctl.name), failed.get(sysctl.name));
            match (before, now) {
                (_, Some(why)) if before != now => warn!("{why}"),
                (Some(_), None) => info!("sysctl {sysctl} has the required value again"),
                _ => {}
            }
            metric::sysctl_is_wrong(sysctl.name, now.is_some());
            match now {
                Some(why) => wrong.insert(sysctl.name, why.clone()),
                None => wrong.remove(sysctl.name),
            };
        }
        let changed = applied.changed.iter();
        changed.map(|(sysctl, before)| format!("set sysctl {sysctl} (it was {before})")).collect()
    }

    #[cfg(test)]
    fn wrong(&self) -> usize {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn wanted(&self, which: Which) -> Vec<Sysctl> {
        match which {
            Which::AtStart => sysctl::wanted(self.kernel, &self.options),
            Which::Later => {
                let conntrack = ConntrackOptions::default();
                sysctl::wanted(self.kernel, &Options { conntrack, ..self.options.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctls() -> Sysctls {
        let conntrack =
            ConntrackOptions { max_per_core: 1024, cpus: 4, ..ConntrackOptions::default() };
        let options = Options { strict_arp: false, conntrack };
        Sysctls { kernel: KernelVersion::new(6, 1), options, wrong: Mutex::default() }
    }

    /// A folder in place of /proc/sys, in which every sysctl has a wrong value.
    fn proc_sys(sysctls: &Sysctls) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for sysctl in sysctls.wanted(Which::AtStart) {
            let path = root.path().join(sysctl.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "7777\n").unwrap();
        }
        root
    }

    #[test]
    fn the_size_of_connection_tracking_is_set_at_the_start_only() {
        let sysctls = sysctls();
        let root = proc_sys(&sysctls);
        let name = "net/netfilter/nf_conntrack_max";
        let value = || std::fs::read_to_string(root.path().join(name)).unwrap();
        let written = sysctls.apply(root.path(), Which::AtStart);
        assert_eq!(written.len(), 5);
        assert_eq!(value(), "4096");
        std::fs::write(root.path().join(name), "1000000\n").unwrap();
        std::fs::write(root.path().join("net/ipv4/ip_forward"), "0\n").unwrap();
        let written = sysctls.apply(root.path(), Which::Later);
        assert_eq!(written, ["set sysctl net/ipv4/ip_forward = 1 (it was 0)"]);
        assert_eq!(value(), "1000000\n");
    }

    #[test]
    fn one_that_cannot_be_written_is_known_until_it_is_right_and_stops_no_other() {
        let sysctls = sysctls();
        let root = proc_sys(&sysctls);
        let path = root.path().join("net/ipv4/vs/conntrack");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(sysctls.apply(root.path(), Which::AtStart).len(), 4);
        assert_eq!(sysctls.wrong(), 1);
        assert_eq!(sysctls.apply(root.path(), Which::Later), Vec::<String>::new());
        assert_eq!(sysctls.wrong(), 1);
        std::fs::write(path, "1\n").unwrap();
        assert_eq!(sysctls.apply(root.path(), Which::Later), Vec::<String>::new());
        assert_eq!(sysctls.wrong(), 0);
    }
}
