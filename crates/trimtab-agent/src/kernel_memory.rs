//! The kernel memory that each virtual and real server takes besides the object itself.
//!
//! Both have statistics for every possible CPU, so a NodePort Service, which has a virtual server
//! for each of the node's addresses, takes much more memory on a large machine than in a test.

/// The properties of the machine that decide how much memory statistics take, and how much is too
/// much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Number of possible CPUs.
    pub possible_cpus: u32,
    /// Memory in bytes; `None` if unknown.
    pub memory: Option<u64>,
}

/// `struct ip_vs_cpu_stats` (include/net/ip_vs.h): five counters of eight bytes; the sequence count
/// beside them is empty on 64-bit kernels.
const STATISTICS: u64 = 40;

/// Bytes of per-CPU statistics.
pub fn statistics_bytes(virtual_servers: usize, real_servers: usize, possible_cpus: u32) -> u64 {
    (virtual_servers as u64 + real_servers as u64) * u64::from(possible_cpus) * STATISTICS
}

/// Whether that is worth a warning: more than a sixteenth of the memory.
pub(crate) fn is_much(bytes: u64, memory: u64) -> bool {
    bytes > memory / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_port_service_on_a_large_machine_weighs() {
        // 100 ports on 20 addresses with 500 endpoints each, on 256 CPUs: 9.5 GiB.
        let bytes = statistics_bytes(2000, 1_000_000, 256);
        assert_eq!(bytes, 10_260_480_000);
        assert!(is_much(bytes, 64 << 30));
        // 10,000 x 10 on 64 CPUs: 268 MiB.
        assert!(!is_much(statistics_bytes(10_000, 100_000, 64), 64 << 30));
    }
}
