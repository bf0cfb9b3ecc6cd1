//! This host's own addresses and families.

use std::path::Path;

use anyhow::Context as _;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::{address, cpu_list};
use trimtab_netlink::Socket;

use crate::kernel_memory;

/// The addresses of this host's interfaces, those on the dummy interface left out.
///
/// # Errors
/// When the kernel does not list them.
pub fn local_addresses() -> anyhow::Result<Vec<LocalAddress>> {
    let mut socket = Socket::open(trimtab_netlink::Family::Route)?;
    let listed = address::list(&mut socket).context("cannot list this host's addresses")?;
    Ok(listed
        .into_iter()
        // A name that is empty belongs to an interface that has just gone.
        .filter(|one| &*one.interface != DUMMY_INTERFACE && !one.interface.is_empty())
        .map(|one| LocalAddress { interface: (*one.interface).into(), address: one.address })
        .collect())
}

/// What the kernel may spend on statistics depends on this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that it could have.
    pub possible_cpus: u32,
    /// Memory in bytes; `None` if nobody knows.
    pub memory: Option<u64>,
}

impl Machine {
    /// This machine.
    pub fn read() -> Self {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            possible_cpus: cpus(Path::new("/sys"), "possible").unwrap_or(1),
            memory: kernel_memory::total_memory(&meminfo),
        }
    }
}

/// The CPUs that the machine runs, whatever part of them this process may use. `sys` is `/sys` but
/// for tests; where that does not tell, as many as this process may use.
pub fn online_cpus(sys: &Path) -> u32 {
    cpus(sys, "online").unwrap_or_else(|| {
        std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
    })
}

/// How many CPUs are in one of the kernel's lists (Documentation/admin-guide/cputopology.rst).
fn cpus(sys: &Path, list: &str) -> Option<u32> {
    let text = std::fs::read_to_string(sys.join("devices/system/cpu").join(list)).ok()?;
    u32::try_from(cpu_list::parse(&text)?.len()).ok()
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
    fn the_machines_cpus_count_and_not_those_that_a_container_may_use() {
        // A cgroup or cpuset shows in what the scheduler lets this thread use.
        let mut one = rustix::thread::CpuSet::new();
        one.set(rustix::thread::sched_getcpu());
        let seen = std::thread::spawn(move || {
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            let usable = std::thread::available_parallelism().unwrap().get();
            (usable, online_cpus(Path::new("/sys")))
        });
        let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
        let online = cpu_list::parse(&text).unwrap().len();
        assert_eq!(seen.join().unwrap(), (1, u32::try_from(online).unwrap()));
    }

    #[test]
    fn a_list_of_cpus_is_counted_and_without_one_there_is_at_least_one_cpu() {
        let sys = tempfile::tempdir().unwrap();
        assert!(online_cpus(sys.path()) >= 1);
        let folder = sys.path().join("devices/system/cpu");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("online"), "0-95,128-191\n").unwrap();
        assert_eq!(online_cpus(sys.path()), 160);
    }
}
