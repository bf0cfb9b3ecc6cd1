//! The packet-filter rules that the configuration asks for.

use ipnet::IpNet;
use trimtab_core::Family;
use trimtab_host::rules::{LocalDetector, RuleOptions, RuleSet};

use crate::config::{Config, Detect};

/// The rule set of each family. `pod_networks` are the node's own, needed by detectLocalMode
/// NodeCIDR.
///
/// # Errors
/// An option that no rule can hold.
pub fn rule_sets(
    config: &Config,
    pod_networks: &[IpNet],
    families: &[Family],
) -> Result<Vec<RuleSet>, trimtab_host::Error> {
    families
        .iter()
        .map(|family| {
            let options = RuleOptions {
                masquerade_bit: config.masquerade_bit,
                masquerade_all: config.masquerade_all,
                local_detector: local_detector(&config.detect, pod_networks, *family),
                random_fully: true,
            };
            RuleSet::new(&options, *family)
        })
        .collect()
}

fn local_detector(detect: &Detect, pod_networks: &[IpNet], family: Family) -> LocalDetector {
    let first = |networks: &[IpNet]| {
        let found = networks.iter().find(|net| Family::of(net.addr()) == family);
        found.map_or(LocalDetector::None, |net| LocalDetector::Cidr(*net))
    };
    match detect {
        Detect::Networks(networks) => first(networks),
        Detect::NodeNetworks => first(pod_networks),
        Detect::Bridge(name) => LocalDetector::Bridge(name.clone()),
        Detect::InterfacePrefix(prefix) => LocalDetector::InterfacePrefix(prefix.clone()),
    }
}
