//! This host's own addresses and families.

use std::path::Path;

use trimtab_core::objects::LocalAddress;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::address::{self, InterfaceAddress};
use trimtab_host::cpu_list;
use trimtab_netlink::Socket;

use crate::error::Error;

/// The addresses of this host's interfaces, those on the dummy interface left out.
///
/// # Errors
/// When the kernel does not list them.
pub fn local_addresses() -> Result<Vec<LocalAddress>, Error> {
    let mut socket = Socket::open(trimtab_netlink::Family::Route)?;
    let listed = address::list(&mut socket).map_err(Error::LocalAddresses)?;
    Ok(listed.iter().filter_map(local).collect())
}

/// An address of the node itself; `None` for those of the dummy interface.
pub(crate) fn local(found: &InterfaceAddress) -> Option<LocalAddress> {
    // An empty name means that the interface has just been deleted.
    let is_local = &*found.interface != DUMMY_INTERFACE && !found.interface.is_empty();
    is_local.then(|| LocalAddress { interface: (*found.interface).into(), address: found.address })
}

/// The number of possible CPUs of this machine.
pub fn possible_cpus() -> u32 {
    cpu_list::possible(Path::new("/sys")).unwrap_or(1)
}

/// This machine's memory in bytes; `None` if unknown.
pub fn total_memory() -> Option<u64> {
    memory_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The address families of this host's kernel: IPv6 may be missing or disabled.
pub fn families() -> Vec<Family> {
    let has_six = Path::new("/proc/net/if_inet6").exists()
        && std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .map_or(true, |text| text.trim() != "1");
    if has_six { Family::ALL.to_vec() } else { vec![Family::V4] }
}

/// Raises the soft limit of file descriptors to the hard limit (getrlimit(2), RLIMIT_NOFILE): each
/// health-check node port needs one per address, and the usual soft limit is 1,024.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of file descriptors");
    }
}

/// Gives the calling thread the lowest priority, because nothing waits for it.
pub fn give_way() {
    // On Linux each thread has a nice value of its own, set by thread ID.
    let this = Some(rustix::thread::gettid());
    if let Err(error) = rustix::process::setpriority_process(this, 10) {
        tracing::debug!(%error, "cannot set the nice value");
    }
}

/// Sets how likely the kernel is to kill this process when memory is short (proc(5),
/// oom_score_adj). Lowering it needs CAP_SYS_RESOURCE, so an error is only logged.
pub fn adjust_oom_score(score: i32) {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        tracing::info!(score, %error, "cannot set oomScoreAdj");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_file_is_read() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:  1 kB\n";
        assert_eq!(memory_in(meminfo), Some(16 << 20));
        assert_eq!(memory_in("MemFree: 1 kB"), None);
    }
}
