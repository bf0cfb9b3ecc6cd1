//! This host's own addresses and families.

use anyhow::Context as _;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::{address, cpu_list};
use trimtab_netlink::Socket;
use trimtab_reconcile::objects::LocalAddress;

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
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            possible_cpus: cpu_list::parse(&read("/sys/devices/system/cpu/possible"))
                .and_then(|cpus| u32::try_from(cpus.len()).ok())
                .unwrap_or(1),
            memory: kernel_memory::total_memory(&read("/proc/meminfo")),
        }
    }
}

/// The families that this host's kernel has: IPv6 may be left out or switched off.
pub fn families() -> Vec<Family> {
    let has_six = std::path::Path::new("/proc/net/if_inet6").exists()
        && std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .map_or(true, |text| text.trim() != "1");
    if has_six { Family::ALL.to_vec() } else { vec![Family::V4] }
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
