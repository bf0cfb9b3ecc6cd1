//! The capabilities that this process has.

use std::fmt;
use std::path::Path;

/// A capability that programming the network needs (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_NET_ADMIN`
    NetAdmin,
    /// `CAP_NET_RAW`
    NetRaw,
}

impl Capability {
    /// All that are needed.
    pub const ALL: [Self; 2] = [Self::NetAdmin, Self::NetRaw];

    /// Its bit (include/uapi/linux/capability.h).
    const fn bit(self) -> u64 {
        match self {
            Self::NetAdmin => 1 << 12,
            Self::NetRaw => 1 << 13,
        }
    }

    /// What it is needed for.
    pub const fn needed_for(self) -> &'static str {
        match self {
            Self::NetAdmin => "IPVS, ipsets, addresses and the packet filter need it",
            Self::NetRaw => {
                "iptables opens a raw socket for every rule that matches an ipset, and its legacy kind \
                 for any rule"
            }
        }
    }

    /// The first capability that is missing in `CapEff` of `/proc/self/status`; `None` if all are
    /// there or if that is unknown.
    pub fn first_missing() -> Option<Self> {
        let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
        let effective = effective(&status)?;
        Self::ALL.into_iter().find(|capability| effective & capability.bit() == 0)
    }

    /// The missing capability that explains an error of iptables, if the message looks like it.
    pub(crate) fn missing_for(message: &str) -> Option<Self> {
        let wants = ["Permission denied", "Operation not permitted", "Can't open socket to ipset"];
        if wants.iter().any(|words| message.contains(words)) { Self::first_missing() } else { None }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
        })
    }
}

/// `CapEff` of the text of `/proc/PID/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_as_the_kernel_prints_them() {
        let status = "Name:\ttrimtab\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000003000\n";
        let effective = effective(status).unwrap();
        assert_eq!(effective, Capability::NetAdmin.bit() | Capability::NetRaw.bit());
        assert_eq!(super::effective("Name:\ttrimtab\n"), None);
    }

    #[test]
    fn other_complaints_are_not_about_capabilities() {
        assert_eq!(Capability::missing_for("line 3: RULE_APPEND failed (No such file)"), None);
    }
}
