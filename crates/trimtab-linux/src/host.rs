//! This host's own addresses and families.

use std::path::Path;

use trimtab_core::objects::LocalAddress;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::{address, cpu_list};
use trimtab_netlink::Socket;

use crate::error::Error;

/// The addresses of this host's interfaces, those on the dummy interface left out.
///
/// # Errors
/// When the kernel does not list them.
pub fn local_addresses() -> Result<Vec<LocalAddress>, Error> {
    let mut socket = Socket::open(trimtab_netlink::Family::Route)?;
    let listed = address::list(&mut socket).map_err(Error::LocalAddresses)?;
    Ok(listed
        .into_iter()
        // A name that is empty belongs to an interface that has just gone.
        .filter(|one| &*one.interface != DUMMY_INTERFACE && !one.interface.is_empty())
        .map(|one| LocalAddress { interface: (*one.interface).into(), address: one.address })
        .collect())
}

/// The CPUs that this machine could have.
pub fn possible_cpus() -> u32 {
    cpu_list::possible(Path::new("/sys")).unwrap_or(1)
}

/// This machine's memory in bytes; `None` if nobody knows.
pub fn total_memory() -> Option<u64> {
    memory_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The families that this host's kernel has: IPv6 may be left out or switched off.
pub fn families() -> Vec<Family> {
    let has_six = Path::new("/proc/net/if_inet6").exists()
        && std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .map_or(true, |text| text.trim() != "1");
    if has_six { Family::ALL.to_vec() } else { vec![Family::V4] }
}

/// Allows this process as many descriptors as it may have (getrlimit(2), RLIMIT_NOFILE): each
/// health-check node port needs one an address, and the usual soft limit is 1,024.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of descriptors could not be raised");
    }
}

/// Lets other threads go before the calling one, which nobody waits for.
pub fn give_way() {
    // Linux has a nice value for each thread, under the thread's number.
    let this = Some(rustix::thread::gettid());
    if let Err(error) = rustix::process::setpriority_process(this, 10) {
        tracing::debug!(%error, "the nice value could not be set");
    }
}

/// Tells the kernel how inclined to be to end this process when memory is short (proc(5),
/// oom_score_adj). Lowering it needs CAP_SYS_RESOURCE, so a refusal is only logged.
pub fn adjust_oom_score(score: i32) {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        tracing::info!(score, %error, "oomScoreAdj could not be set");
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
