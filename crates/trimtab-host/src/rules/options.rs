//! What the rules depend on.

use ipnet::IpNet;
use trimtab_core::{Family, MarkRange};

use crate::Error;

/// An interface's name has 15 bytes at most (`IFNAMSIZ`, include/uapi/linux/if.h).
const INTERFACE_NAME: usize = 15;

/// The bit of the packet mark with which Kubernetes has always marked packets to drop, and the one
/// to use if masquerading is configured to use that bit.
const DROP_BIT: u8 = 15;
const OTHER_DROP_BIT: u8 = 13;

/// How to recognise packets of this node's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalDetector {
    /// Not at all.
    #[default]
    None,
    /// Their source address is in this network.
    Cidr(IpNet),
    /// They come from this bridge.
    Bridge(String),
    /// They come from an interface whose name has this prefix.
    InterfacePrefix(String),
}

/// What the rules depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOptions {
    /// The bit of the packet mark, 0 to 31, that requests masquerading.
    pub masquerade_bit: u8,
    /// Whether all packets to cluster IPs are masqueraded.
    pub masquerade_all: bool,
    /// How to recognise packets of this node's pods: other packets to cluster IPs are masqueraded.
    pub local_detector: LocalDetector,
    /// Whether masquerading picks random ports (`iptables` 1.6.2 and later can).
    pub random_fully: bool,
    /// The marks of virtual servers that only clients inside the cluster see.
    pub marks: MarkRange,
}

/// kube-proxy's defaults, with a current `iptables`.
impl Default for RuleOptions {
    fn default() -> Self {
        Self {
            masquerade_bit: 14,
            masquerade_all: false,
            local_detector: LocalDetector::None,
            random_fully: true,
            marks: MarkRange::DEFAULT,
        }
    }
}

/// The bits of the packet mark that masquerading with this bit leaves to no other use: the bit, and
/// that for dropping.
pub const fn reserved_bits(masquerade_bit: u8) -> u32 {
    let drop = if masquerade_bit == DROP_BIT { OTHER_DROP_BIT } else { DROP_BIT };
    1 << masquerade_bit | 1 << drop
}

impl RuleOptions {
    /// Checks that the options give rules that `iptables-restore` reads as intended.
    pub(super) fn check(&self, family: Family) -> Result<(), Error> {
        if self.masquerade_bit > 31 {
            return Err(Error::RuleOption {
                option: "masqueradeBit",
                value: self.masquerade_bit.to_string().into(),
                must: "a bit of the packet mark, 0 to 31",
            });
        }
        if self.marks.bits() & reserved_bits(self.masquerade_bit) != 0 {
            return Err(Error::RuleOption {
                option: "markBits",
                value: format!("{:#x}", self.marks.bits()).into(),
                must: "bits of the packet mark other than that for masquerading and that for dropping",
            });
        }
        let wrong = |option, value: &str, must| {
            Err(Error::RuleOption { option, value: value.into(), must })
        };
        match &self.local_detector {
            LocalDetector::Cidr(net) if Family::of(net.addr()) != family => wrong(
                "clusterCIDR",
                &net.to_string(),
                match family {
                    Family::V4 => "an IPv4 network for the IPv4 rules",
                    Family::V6 => "an IPv6 network for the IPv6 rules",
                },
            ),
            LocalDetector::Bridge(name) if !is_interface(name, INTERFACE_NAME) => {
                wrong("detectLocal.bridgeInterface", name, "the name of an interface")
            }
            // One byte less: iptables marks a prefix with a plus sign.
            LocalDetector::InterfacePrefix(name) if !is_interface(name, INTERFACE_NAME - 1) => {
                wrong("detectLocal.interfaceNamePrefix", name, "the beginning of an interface name")
            }
            _ => Ok(()),
        }
    }

    pub(super) const fn masquerade_mark(&self) -> u32 {
        1 << self.masquerade_bit
    }

    pub(super) const fn drop_mark(&self) -> u32 {
        reserved_bits(self.masquerade_bit) ^ self.masquerade_mark()
    }
}

/// Whether a name is one that the kernel takes (dev_valid_name, net/core/dev.c) and that a rule can
/// hold without quotes.
fn is_interface(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:\"'\\!+".contains(&byte))
        && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(local_detector: LocalDetector) -> Result<(), String> {
        RuleOptions { local_detector, ..RuleOptions::default() }
            .check(Family::V4)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_that_would_break_the_rules_are_named() {
        let cidr = |net: &str| LocalDetector::Cidr(net.parse().unwrap());
        assert_eq!(checked(cidr("10.244.0.0/16")), Ok(()));
        assert!(checked(cidr("fd00:244::/56")).unwrap_err().contains("clusterCIDR"));
        assert_eq!(checked(LocalDetector::Bridge("cni0".to_owned())), Ok(()));
        for name in ["", "cni 0", "cni0\n-A", "sixteen-bytes-xx", "a/b", "-j"] {
            let error = checked(LocalDetector::Bridge(name.to_owned())).unwrap_err();
            assert!(error.contains("bridgeInterface"), "{error}");
        }
        assert_eq!(checked(LocalDetector::InterfacePrefix("veth".to_owned())), Ok(()));
        assert!(checked(LocalDetector::InterfacePrefix("veth+".to_owned())).is_err());
        let options = RuleOptions { masquerade_bit: 32, ..RuleOptions::default() };
        assert!(options.check(Family::V4).unwrap_err().to_string().contains("masqueradeBit"));
    }

    #[test]
    fn the_marks_differ_whatever_the_bit() {
        for masquerade_bit in 0..32 {
            let options = RuleOptions { masquerade_bit, ..RuleOptions::default() };
            assert_ne!(options.masquerade_mark(), options.drop_mark());
            let used = options.masquerade_mark() | options.drop_mark();
            assert_eq!(used, reserved_bits(masquerade_bit));
            let checked = options.check(Family::V4);
            assert_eq!(checked.is_err(), used & MarkRange::DEFAULT.bits() != 0, "{checked:?}");
            let marks = MarkRange::DEFAULT.without(used).unwrap();
            assert!(RuleOptions { marks, ..options }.check(Family::V4).is_ok());
        }
        assert_eq!(RuleOptions::default().drop_mark(), 0x8000);
    }
}
