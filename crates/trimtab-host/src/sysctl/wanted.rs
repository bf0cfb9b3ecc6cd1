//! Which sysctls must have which values.

use std::fmt;

use super::ConntrackOptions;
use crate::kernel_version::KernelVersion;

/// A sysctl and the value it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Its path below /proc/sys.
    pub name: &'static str,
    /// The value.
    pub value: u32,
    /// Why it must have it, in a few words.
    pub reason: &'static str,
}

/// Prints `net/ipv4/ip_forward = 1`.
impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

/// What the values depend on besides the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the node must answer ARP for an address only on the interface that has it. Load
    /// balancers that announce VIPs by ARP need that.
    pub strict_arp: bool,
    /// The connection table's size and time-outs.
    pub conntrack: ConntrackOptions,
}

/// The kernel's version from which IPVS has conn_reuse_mode.
const HAS_REUSE_MODE: KernelVersion = KernelVersion::new(4, 1);
/// The kernel's version from which IPVS gives a reused connection to another real server without
/// losing its first packet (commit f0a5e4d7a594).
const REUSES_AT_ONCE: KernelVersion = KernelVersion::new(5, 9);

/// What must be set on a kernel of this version. There is no IPv6 sysctl: the CNI plug-in that
/// routes the pods decides whether a node forwards IPv6.
pub fn wanted(kernel: KernelVersion, options: &Options) -> Vec<Sysctl> {
    let mut all = Vec::new();
    let mut set = |name, value, reason| all.push(Sysctl { name, value, reason });
    // Without connection tracking of what IPVS balances, the packet filter sees those packets as
    // belonging to no connection: it could neither masquerade them nor tell established ones.
    set("net/ipv4/vs/conntrack", 1, "masquerading needs IPVS connections to be tracked");
    // A client port that is reused while its old connection is in TIME_WAIT belongs to a new
    // connection. From 5.9 on the kernel's own default, 1, handles this correctly. Before, 1 drops
    // the first packet, which costs the client a second; 0 sends it to the old real server instead.
    if (HAS_REUSE_MODE..REUSES_AT_ONCE).contains(&kernel) {
        set(
            "net/ipv4/vs/conn_reuse_mode",
            0,
            "connections that reuse a client port would be \
            delayed by a second",
        );
    }
    // Connections to a real server that is gone end at once instead of vanishing packet by packet
    // until they time out.
    set("net/ipv4/vs/expire_nodest_conn", 1, "connections to removed real servers must end");
    // Session affinity must not keep clients on a draining real server.
    set(
        "net/ipv4/vs/expire_quiescent_template",
        1,
        "affinity must not hold on to draining servers",
    );
    // Clients and pods are on different interfaces.
    set("net/ipv4/ip_forward", 1, "the node forwards between clients and pods");
    if options.strict_arp {
        // Answer ARP for an address only on the interface that has it: never for a VIP, which is on
        // an interface that is down.
        set("net/ipv4/conf/all/arp_ignore", 1, "strictARP: no ARP answers for VIPs");
        // And never use a VIP as the sender address of an ARP request.
        set("net/ipv4/conf/all/arp_announce", 2, "strictARP: no ARP requests from VIPs");
    }
    all.extend(options.conntrack.sysctls());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kernel: (u32, u32), options: &Options, name: &str) -> Option<u32> {
        wanted(KernelVersion::new(kernel.0, kernel.1), options)
            .into_iter()
            .find(|sysctl| sysctl.name == name)
            .map(|sysctl| sysctl.value)
    }

    #[test]
    fn reuse_mode_follows_the_kernel() {
        let name = "net/ipv4/vs/conn_reuse_mode";
        let options = Options::default();
        for (kernel, expected) in [
            ((3, 10), None),
            ((4, 0), None),
            ((4, 1), Some(0)),
            ((5, 8), Some(0)),
            ((5, 9), None),
            ((6, 1), None),
        ] {
            assert_eq!(value(kernel, &options, name), expected, "{kernel:?}");
        }
    }

    #[test]
    fn arp_is_left_alone_unless_asked_for() {
        let strict = Options { strict_arp: true, ..Options::default() };
        for (name, expected) in
            [("net/ipv4/conf/all/arp_ignore", 1), ("net/ipv4/conf/all/arp_announce", 2)]
        {
            assert_eq!(value((6, 1), &Options::default(), name), None);
            assert_eq!(value((6, 1), &strict, name), Some(expected));
        }
    }

    #[test]
    fn the_rest_is_always_wanted_and_nothing_of_ipv6() {
        let names: Vec<_> = wanted(KernelVersion::new(6, 1), &Options::default())
            .into_iter()
            .map(|sysctl| (sysctl.name, sysctl.value))
            .collect();
        assert_eq!(
            names,
            [
                ("net/ipv4/vs/conntrack", 1),
                ("net/ipv4/vs/expire_nodest_conn", 1),
                ("net/ipv4/vs/expire_quiescent_template", 1),
                ("net/ipv4/ip_forward", 1),
            ]
        );
    }
}
