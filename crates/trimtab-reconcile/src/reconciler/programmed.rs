//! What is programmed, by Service: for `trimtab plan -o json` and `trimtab status`.

use std::net::IpAddr;

use trimtab_core::{Frontend, SetElement, SetId};

use super::Reconciler;
use super::real_servers::hairpin;
use crate::desired::ClaimKind;
use crate::tables;
use trimtab_core::objects::ObjectName;

/// What one Service has in the kernel, or is about to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programmed {
    /// The Service.
    pub service: ObjectName,
    /// The frontends that are served for it.
    pub frontends: Vec<Frontend>,
    /// Frontends that it asks for and another Service has, whose claim goes before.
    pub conflicts: Vec<Frontend>,
    /// Elements in sets on its behalf.
    pub elements: Vec<(SetId, SetElement)>,
    /// VIPs bound on its behalf.
    pub addresses: Vec<IpAddr>,
}

impl Reconciler {
    /// What each Service has, in order of name.
    pub fn programmed(&self) -> Vec<Programmed> {
        let mut all: Vec<Programmed> = Vec::new();
        for (id, entry) in self.input.services.iter() {
            if entry.service.is_none() {
                continue;
            }
            let mut one = Programmed {
                service: entry.name.clone(),
                frontends: Vec::new(),
                conflicts: Vec::new(),
                elements: entry.elements.clone(),
                addresses: Vec::new(),
            };
            for spec in entry.specs.iter() {
                let server = self.model.tables.virtual_servers.get(&spec.frontend);
                if server.and_then(|s| s.wanted).is_none_or(|wanted| wanted.service != id) {
                    // Nobody else asks for a mark: its view waits for a frontend.
                    if spec.kind != ClaimKind::View {
                        one.conflicts.push(spec.frontend);
                    }
                    continue;
                }
                one.elements.extend(tables::record_of(&spec.frontend));
                let inside = spec.inside.mark();
                let inside = inside.and_then(|mark| tables::element(&spec.frontend, mark));
                one.elements.extend(inside);
                one.frontends.push(spec.frontend);
                one.elements.extend(&spec.elements);
                if spec.bind {
                    one.addresses.extend(spec.frontend.address());
                }
            }
            for port in entry.ports.iter().filter(|port| port.declared) {
                let local = port.backends.iter().filter(|(_, state)| state.is_local());
                one.elements.extend(local.map(|(key, _)| hairpin(port, &key)));
            }
            one.frontends.sort_unstable();
            one.conflicts.sort_unstable();
            one.elements.sort_unstable();
            one.elements.dedup();
            one.addresses.sort_unstable();
            one.addresses.dedup();
            all.push(one);
        }
        all.sort_unstable_by(|a, b| a.service.cmp(&b.service));
        all
    }
}
