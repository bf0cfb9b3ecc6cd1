//! The part of the configuration that decides what the kernel should hold.

use trimtab_core::Family;
use trimtab_core::objects::NodeObject;
use trimtab_reconcile::Settings;

use crate::Config;

impl Config {
    /// The reconciler's settings.
    pub fn settings(&self) -> Settings {
        Settings {
            scheduler: self.scheduler,
            node_port_addresses: self.node_port_addresses.clone(),
            external_ips: self.external_ips.clone(),
            exclude: self.exclude.clone(),
            drain_timeout: self.drain_timeout,
            node_weights: self.node_weights,
            marks: Some(self.rules.marks),
            owners: self.traffic.enabled,
            ..Settings::new(&self.node_name)
        }
    }

    /// A Node object as the reconciler uses it: with `bindAddress` before its own addresses.
    pub fn corrected(&self, node: &NodeObject) -> NodeObject {
        let mut node = node.clone();
        if let Some(address) = self.bind_address {
            node.addresses.retain(|other| Family::of(*other) != Family::of(address));
            node.addresses.insert(0, address);
        }
        node
    }
}
