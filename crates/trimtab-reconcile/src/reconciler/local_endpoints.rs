//! Services whose traffic policy keeps traffic on this node, where there is no endpoint of theirs.

use trimtab_core::Family;

use super::Reconciler;
use crate::services::{PortEntry, ServiceEntry};
use trimtab_core::objects::TrafficPolicy;

/// How many Services of one family have endpoints, a policy that allows only those on this node, and
/// none here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithoutLocalEndpoints {
    /// By `internalTrafficPolicy`.
    pub internal: usize,
    /// By `externalTrafficPolicy`.
    pub external: usize,
}

impl Reconciler {
    /// Counts the Services of this family that refuse connections here and not elsewhere. Looks at
    /// every endpoint of the Services with such a policy.
    pub fn without_local_endpoints(&self, family: Family) -> WithoutLocalEndpoints {
        let mut counts = WithoutLocalEndpoints::default();
        for (_, entry) in self.input.services.iter() {
            let Some(service) = entry.service.as_deref() else { continue };
            let internal = service.internal_policy == TrafficPolicy::Local;
            let external = service.effective_external_policy() == TrafficPolicy::Local;
            if (internal || external) && self.lacks_local_endpoints(entry, family) {
                counts.internal += usize::from(internal);
                counts.external += usize::from(external);
            }
        }
        counts
    }

    /// Whether some port of the family has endpoints, and none of them on this node.
    fn lacks_local_endpoints(&self, entry: &ServiceEntry, family: Family) -> bool {
        let has = |port: &PortEntry, policy| {
            let selection = port.backends.selection();
            port.backends
                .iter()
                .any(|(_, state)| selection.admits(policy, state, &self.input.hints))
        };
        entry
            .ports
            .iter()
            .filter(|port| port.declared && port.family == family)
            .any(|port| has(port, TrafficPolicy::Cluster) && !has(port, TrafficPolicy::Local))
    }
}
