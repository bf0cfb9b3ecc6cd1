//! The size and the time-outs of the connection table.

use std::time::Duration;

use super::Sysctl;

/// The most entries that are set for a node however many processors it has.
const MOST_ENTRIES: u32 = 1 << 20;

/// Names below /proc/sys/net/netfilter.
const MAX: &str = "net/netfilter/nf_conntrack_max";

/// kube-proxy's options for connection tracking; a zero, or `false`, leaves the kernel's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConntrackOptions {
    /// Entries per processor; 0 leaves the table's size.
    pub max_per_core: u32,
    /// The minimum number of entries.
    pub min: u32,
    /// How many processors the node has.
    pub cpus: u32,
    /// How long an idle TCP connection is tracked.
    pub tcp_established: Duration,
    /// How long a half-closed TCP connection is tracked.
    pub tcp_close_wait: Duration,
    /// Whether packets outside a connection's window belong to it.
    pub tcp_be_liberal: bool,
    /// How long UDP flows without an answer are tracked.
    pub udp: Duration,
    /// How long UDP flows with answers are tracked.
    pub udp_stream: Duration,
}

impl ConntrackOptions {
    /// How many entries the table should have room for.
    pub fn max_entries(&self) -> Option<u32> {
        if self.max_per_core == 0 {
            return None;
        }
        let scaled = u64::from(self.max_per_core) * u64::from(self.cpus);
        Some(match u32::try_from(scaled) {
            Ok(scaled) if scaled <= MOST_ENTRIES => scaled.max(self.min),
            // kube-proxy lets this bound win over the minimum too.
            _ => MOST_ENTRIES,
        })
    }

    pub(super) fn sysctls(&self) -> Vec<Sysctl> {
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        // Each has its reason: a full table drops new connections, which a proxy makes many of.
        let mut all = Vec::new();
        if let Some(value) = self.max_entries() {
            let reason = "conntrack: a full table drops new connections";
            all.push(Sysctl { name: MAX, value, reason });
        }
        let timeouts = [
            // Idle connections are tracked for as long as their endpoints may use them again.
            (
                "net/netfilter/nf_conntrack_tcp_timeout_established",
                self.tcp_established,
                "conntrack.tcpEstablishedTimeout",
            ),
            // Longer than the kernel's minute: a half-closed connection may still carry data.
            (
                "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
                self.tcp_close_wait,
                "conntrack.tcpCloseWaitTimeout",
            ),
            // Shorter makes way sooner for one-packet exchanges such as DNS.
            ("net/netfilter/nf_conntrack_udp_timeout", self.udp, "conntrack.udpTimeout"),
            (
                "net/netfilter/nf_conntrack_udp_timeout_stream",
                self.udp_stream,
                "conntrack.udpStreamTimeout",
            ),
        ];
        for (name, duration, reason) in timeouts {
            if seconds(duration) > 0 {
                all.push(Sysctl { name, value: seconds(duration), reason });
            }
        }
        if self.tcp_be_liberal {
            // Packets that the kernel considers outside the window would pass untranslated and
            // reset the connection.
            let name = "net/netfilter/nf_conntrack_tcp_be_liberal";
            all.push(Sysctl { name, value: 1, reason: "conntrack.tcpBeLiberal" });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_size_follows_the_processors_between_two_bounds() {
        let entries = |max_per_core, min, cpus| {
            ConntrackOptions { max_per_core, min, cpus, ..ConntrackOptions::default() }
                .max_entries()
        };
        assert_eq!(entries(0, 131_072, 8), None);
        assert_eq!(entries(32_768, 131_072, 2), Some(131_072));
        assert_eq!(entries(32_768, 131_072, 8), Some(262_144));
        assert_eq!(entries(32_768, 131_072, 32), Some(1_048_576));
        assert_eq!(entries(32_768, 131_072, 33), Some(1_048_576));
        assert_eq!(entries(32_768, 2_000_000, 33), Some(1_048_576));
        assert_eq!(entries(32_768, 2_000_000, 8), Some(2_000_000));
        assert_eq!(entries(u32::MAX, 0, u32::MAX), Some(1_048_576));
    }

    #[test]
    fn zeroes_and_parts_of_a_second_are_left_alone() {
        assert_eq!(ConntrackOptions::default().sysctls(), []);
        let options = ConntrackOptions {
            tcp_established: Duration::from_secs(86_400),
            udp: Duration::from_millis(900),
            tcp_be_liberal: true,
            ..ConntrackOptions::default()
        };
        let set: Vec<_> =
            options.sysctls().into_iter().map(|sysctl| (sysctl.name, sysctl.value)).collect();
        assert_eq!(
            set,
            [
                ("net/netfilter/nf_conntrack_tcp_timeout_established", 86_400),
                ("net/netfilter/nf_conntrack_tcp_be_liberal", 1),
            ]
        );
    }
}
