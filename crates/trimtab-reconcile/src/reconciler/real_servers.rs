//! Which endpoints are real servers of which frontends, and which of them may reach themselves.

use trimtab_core::{Family, Frontend, RealServerKey, SetElement, SetId, SetKind};

use super::Reconciler;
use crate::backends::EndpointState;
use crate::nodes::Nodes;
use crate::operation::ServiceId;
use crate::services::PortEntry;
use crate::tables::ObjectKey;

impl Reconciler {
    /// The node's zone changed: hints mean something else now.
    pub(super) fn topology_changed(&mut self) {
        for id in self.input.services.ids() {
            let ports = self.input.services.get(id).map_or(0, |entry| entry.ports.end());
            for port in 0..ports {
                let hints = &self.input.hints;
                let Some(entry) =
                    self.input.services.get_mut(id).and_then(|e| e.ports.get_mut(port))
                else {
                    continue;
                };
                entry.backends.recount(hints);
                let keys: Vec<_> = entry.backends.iter().map(|(key, _)| key).collect();
                self.update_servers(id, port, &keys);
            }
        }
    }

    /// Puts the local endpoints of a port into the hairpin set, or takes them out.
    pub(super) fn set_declared(&mut self, id: ServiceId, port: usize, declared: bool) {
        let Some(entry) = self.input.services.get_mut(id).and_then(|e| e.ports.get_mut(port))
        else {
            return;
        };
        if entry.declared == declared {
            return;
        }
        entry.declared = declared;
        let hairpins: Vec<_> = entry
            .backends
            .iter()
            .filter(|(_, state)| state.is_local())
            .map(|(key, _)| hairpin(entry, &key))
            .collect();
        if let Some(entry) = self.input.services.get_mut(id).filter(|_| !declared) {
            entry.ports.tidy(port);
        }
        for element in hairpins {
            self.count_element(id, element, declared);
        }
    }

    /// Decides on some endpoints of a port, for every frontend that uses it.
    pub(super) fn update_servers(&mut self, id: ServiceId, port: usize, keys: &[RealServerKey]) {
        let Some(entry) = self.input.services.get(id) else { return };
        let Some(port) = entry.ports.get(port) else { return };
        let selection = port.backends.selection();
        let mut changed: Vec<ObjectKey> = Vec::new();
        for spec in entry.specs.of_port(port) {
            let Some(server) = self.model.tables.virtual_servers.get_mut(&spec.frontend) else {
                continue;
            };
            if server.wanted.is_none_or(|wanted| wanted.service != id) {
                continue;
            }
            for key in keys {
                let weight = port
                    .backends
                    .get(key)
                    .filter(|state| selection.admits(spec.policy, *state, &self.input.hints))
                    .map(|state| weight_of(state, self.input.nodes.as_ref()));
                if server.want_server(*key, weight) && !server.replan {
                    changed.push(ObjectKey::RealServer(spec.frontend, *key));
                }
            }
        }
        for object in changed {
            self.touch(id, object);
        }
    }

    /// Decides on all endpoints of a frontend that a Service has just been given.
    pub(super) fn fill_servers(&mut self, id: ServiceId, frontend: Frontend) {
        let Some(entry) = self.input.services.get(id) else { return };
        let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) else { return };
        let spec = entry.spec(&frontend);
        for known in server.servers.values_mut() {
            known.wanted = None;
        }
        let Some(spec) = spec else { return };
        let place = entry.ports.find(&spec.port, spec.protocol, frontend.family());
        let Some(port) = place.and_then(|place| entry.ports.get(place)) else { return };
        let selection = port.backends.selection();
        for (key, state) in port.backends.iter() {
            if selection.admits(spec.policy, state, &self.input.hints) {
                server.want_server(key, Some(weight_of(state, self.input.nodes.as_ref())));
            }
        }
    }
}

pub(super) fn weight_of(state: EndpointState, nodes: Option<&Nodes>) -> u16 {
    state.weight().or_else(|| nodes?.weight(state.node())).unwrap_or(1)
}

/// The element that lets a local endpoint reach itself through its Service.
pub(super) fn hairpin(port: &PortEntry, key: &RealServerKey) -> (SetId, SetElement) {
    let family: Family = port.family;
    let element = SetElement::IpPortIp(key.address, port.protocol, key.port, key.address);
    (SetId::new(SetKind::LoopBack, family), element)
}
