//! The iptables programs that program the packet filter.

use tracing::{info, warn};
use trimtab_core::Family;
use trimtab_host::rules::{Backend, PacketFilter, Survey, choose};

/// The kind of iptables that was chosen for this node, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFilters {
    backend: Option<Backend>,
}

impl PacketFilters {
    /// Uses the configured kind, or detects the one that the node uses; logs which, and why.
    pub fn choose(configured: Option<Backend>) -> Self {
        let (backend, why) = if configured.is_some() {
            (configured, "configured".to_owned())
        } else {
            let [nft, legacy] = Backend::ALL.map(Survey::take);
            let choice = choose(nft, legacy);
            (choice.backend, choice.why)
        };
        let programs = match backend {
            Some(Backend::Nft) => "iptables-nft-restore",
            Some(Backend::Legacy) => "iptables-legacy-restore",
            None => "iptables-restore",
        };
        info!(programs, why, "the kind of iptables is chosen");
        Self { backend }
    }

    /// The chosen kind; `None` if the host has only programs without a kind in their names.
    pub const fn backend(self) -> Option<Backend> {
        self.backend
    }

    /// The programs for a family.
    pub fn of(self, family: Family) -> PacketFilter {
        PacketFilter::of(self.backend, family)
    }

    /// The families for which programs are installed. Without those for IPv6, a node can still
    /// serve IPv4, and vice versa.
    pub fn families(self, wanted: &[Family]) -> Vec<Family> {
        let missing = |family: Family| match self.of(family).save() {
            Err(error) if error.is_no_program() => Some(error),
            _ => None,
        };
        let found: Vec<_> = wanted.iter().map(|family| (*family, missing(*family))).collect();
        if found.iter().all(|(_, missing)| missing.is_some()) {
            // A missing program is reported each time the rules are to be written.
            return wanted.to_vec();
        }
        for (family, error) in &found {
            if let Some(error) = error {
                warn!("{family} is not served on this node: {error}");
            }
        }
        found
            .into_iter()
            .filter(|(_, missing)| missing.is_none())
            .map(|(family, _)| family)
            .collect()
    }
}
