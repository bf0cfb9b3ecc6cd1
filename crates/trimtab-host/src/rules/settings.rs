//! The configuration of a node's rules, for both families.

use ipnet::IpNet;
use trimtab_core::{Family, MarkRange};

use super::{LocalDetector, RuleOptions, RuleSet};
use crate::Error;

/// How traffic from local pods is recognised; other traffic to cluster IPs is masqueraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetectLocal {
    /// By the pods' networks, at most one of each family; without any, only a VIP as source counts.
    Networks(Vec<IpNet>),
    /// By the node's own pod networks, `spec.podCIDRs`.
    NodeNetworks,
    /// By the bridge they come in through.
    Bridge(String),
    /// By the beginning of the interface's name.
    InterfacePrefix(String),
}

impl DetectLocal {
    fn of(&self, family: Family, pod_networks: &[IpNet]) -> LocalDetector {
        let first = |networks: &[IpNet]| {
            let found = networks.iter().find(|net| Family::of(net.addr()) == family);
            found.map_or(LocalDetector::None, |net| LocalDetector::Cidr(*net))
        };
        match self {
            Self::Networks(networks) => first(networks),
            Self::NodeNetworks => first(pod_networks),
            Self::Bridge(name) => LocalDetector::Bridge(name.clone()),
            Self::InterfacePrefix(prefix) => LocalDetector::InterfacePrefix(prefix.clone()),
        }
    }
}

/// The rules of a node, whatever the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSettings {
    /// The bit of the packet mark that requests masquerading.
    pub masquerade_bit: u8,
    /// Masquerade all traffic to cluster IPs.
    pub masquerade_all: bool,
    /// How traffic from local pods is recognised.
    pub detect: DetectLocal,
    /// The marks of virtual servers that only clients inside the cluster see.
    pub marks: MarkRange,
}

impl RuleSettings {
    /// The rule set of each family. `pod_networks` are the node's own, needed by
    /// [`DetectLocal::NodeNetworks`].
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error) for an option that no rule can hold.
    pub fn rule_sets(
        &self,
        pod_networks: &[IpNet],
        families: &[Family],
    ) -> Result<Vec<RuleSet>, Error> {
        let of = |family: &Family| {
            let options = RuleOptions {
                masquerade_bit: self.masquerade_bit,
                masquerade_all: self.masquerade_all,
                local_detector: self.detect.of(*family, pod_networks),
                random_fully: true,
                marks: self.marks,
            };
            RuleSet::new(&options, *family)
        };
        families.iter().map(of).collect()
    }
}
