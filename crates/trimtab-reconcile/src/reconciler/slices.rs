//! EndpointSlices as they arrive: only endpoints that changed are looked at.

use std::cmp::Ordering;
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};
use trimtab_core::RealServerKey;
use trimtab_core::objects::{EndpointSlice, ObjectName};

use super::Reconciler;
use super::health_check::has_health_check;
use super::real_servers::hairpin;
use crate::backends::{EndpointState, Selection};
use crate::operation::ServiceId;
use crate::services::StoredSlice;

/// What changed at one Service port.
struct Touched {
    port: usize,
    before: Selection,
    keys: Vec<RealServerKey>,
}

impl Reconciler {
    /// An EndpointSlice was added or changed.
    pub fn apply_slice(&mut self, slice: &EndpointSlice) {
        let id = self.input.services.intern(&slice.service);
        let stored = self.store(id, slice);
        let old = self.input.slices.remove(&slice.name);
        match old {
            Some(old) if old.service == id && old.ports == stored.ports => {
                let changes = difference(&old.endpoints, &stored.endpoints);
                self.change_endpoints(id, &stored.ports, &changes);
            }
            old => {
                // Counted before the old one goes, which may be all that keeps the entry.
                if let Some(entry) = self.input.services.get_mut(id) {
                    entry.slices += 1;
                    for (place, _) in &stored.ports {
                        if let Some(port) = entry.ports.get_mut(*place as usize) {
                            port.slices += 1;
                        }
                    }
                }
                if let Some(old) = old {
                    self.remove_endpoints(&old);
                }
                let changes: Vec<_> =
                    stored.endpoints.iter().map(|(ip, state)| (*ip, None, Some(*state))).collect();
                self.change_endpoints(id, &stored.ports, &changes);
            }
        }
        self.input.slices.insert(slice.name.clone(), stored);
        self.forget_unused_names();
    }

    /// An EndpointSlice was deleted.
    pub fn delete_slice(&mut self, name: &ObjectName) {
        if let Some(old) = self.input.slices.remove(name) {
            self.remove_endpoints(&old);
        }
    }

    /// The names of all slices that were applied and not deleted.
    pub fn slice_names(&self) -> impl Iterator<Item = &ObjectName> {
        self.input.slices.keys()
    }

    fn store(&mut self, id: ServiceId, slice: &EndpointSlice) -> StoredSlice {
        let mut ports: Vec<(u32, u16)> = Vec::with_capacity(slice.ports.len());
        if let Some(entry) = self.input.services.get_mut(id) {
            for port in &slice.ports {
                let place = entry.ports.place(&port.name, port.protocol, slice.family);
                ports.push((u32::try_from(place).unwrap_or(u32::MAX), port.port));
            }
        }
        let mut endpoints: Vec<(IpAddr, EndpointState)> = slice
            .endpoints
            .iter()
            .map(|endpoint| {
                let local = endpoint.node.as_deref() == Some(&*self.settings.node_name);
                let mut state = EndpointState::new(endpoint.conditions, local)
                    .with_hints(self.input.hints.intern(&endpoint.hints))
                    .with_weight(slice.weight);
                if let Some(node) = &endpoint.node {
                    state = state.with_node(self.input.symbols.intern(node));
                }
                (endpoint.address, state)
            })
            .collect();
        endpoints.sort_unstable();
        StoredSlice { service: id, ports, endpoints: endpoints.into() }
    }

    fn remove_endpoints(&mut self, old: &StoredSlice) {
        let changes: Vec<_> =
            old.endpoints.iter().map(|(ip, state)| (*ip, Some(*state), None)).collect();
        self.change_endpoints(old.service, &old.ports, &changes);
        if let Some(entry) = self.input.services.get_mut(old.service) {
            entry.slices = entry.slices.saturating_sub(1);
            for (place, _) in &old.ports {
                let place = *place as usize;
                if let Some(port) = entry.ports.get_mut(place) {
                    port.slices = port.slices.saturating_sub(1);
                }
                entry.ports.tidy(place);
            }
        }
        self.input.services.tidy(old.service);
    }

    /// Takes changed endpoints over into each of the slice's ports.
    fn change_endpoints(
        &mut self,
        id: ServiceId,
        ports: &[(u32, u16)],
        changes: &[EndpointChange],
    ) {
        if changes.is_empty() {
            return;
        }
        if let Some(nodes) = &mut self.input.nodes {
            for state in changes.iter().filter_map(|(_, _, new)| *new) {
                nodes.add(state.node(), id);
            }
            for state in changes.iter().filter_map(|(_, old, _)| *old) {
                nodes.remove(state.node(), id);
            }
        }
        for (place, number) in ports {
            let port = *place as usize;
            let Some(touched) = self.change_port(id, port, *number, changes) else { continue };
            let Some(entry) = self.input.services.get(id).and_then(|entry| entry.ports.get(port))
            else {
                continue;
            };
            if entry.backends.selection() == touched.before {
                self.update_servers(id, touched.port, &touched.keys);
            } else {
                // The kind of selection changed, so every endpoint is decided anew.
                let mut keys: HashSet<_> = touched.keys.into_iter().collect();
                keys.extend(entry.backends.iter().map(|(key, _)| key));
                let keys: Vec<_> = keys.into_iter().collect();
                self.update_servers(id, touched.port, &keys);
            }
        }
    }

    fn change_port(
        &mut self,
        id: ServiceId,
        port: usize,
        number: u16,
        changes: &[EndpointChange],
    ) -> Option<Touched> {
        let hints = &self.input.hints;
        let service = self.input.services.get_mut(id)?;
        let entry = service.ports.get_mut(port)?;
        let before = entry.backends.selection();
        let mut keys = Vec::with_capacity(changes.len());
        let mut hairpins = Vec::new();
        let ready_before = service.ready_here.len();
        for (address, old, new) in changes {
            let key = RealServerKey::new(*address, number);
            let resolved = entry.backends.get(&key);
            let was_local = resolved.is_some_and(EndpointState::is_local);
            let was_ready = resolved.is_some_and(is_ready_here);
            if let Some(old) = old {
                entry.backends.remove(key, *old, hints);
            }
            if let Some(new) = new {
                entry.backends.insert(key, *new, hints);
            }
            let resolved = entry.backends.get(&key);
            let is_local = resolved.is_some_and(EndpointState::is_local);
            let is_ready = resolved.is_some_and(is_ready_here);
            if was_ready != is_ready {
                count_ready(&mut service.ready_here, *address, is_ready);
            }
            if entry.declared && was_local != is_local {
                hairpins.push((hairpin(entry, &key), is_local));
            }
            keys.push(key);
        }
        // A slice is of one family, so its count there is as before unless the total changed.
        let checked = service.service.as_deref().is_some_and(has_health_check);
        if checked && service.ready_here.len() != ready_before {
            let name = service.name.clone();
            self.health_check_changed(&name);
        }
        for (element, wanted) in hairpins {
            self.count_element(id, element, wanted);
        }
        Some(Touched { port, before, keys })
    }
}

/// An endpoint's state before and after.
type EndpointChange = (IpAddr, Option<EndpointState>, Option<EndpointState>);

/// What differs between two sorted lists of endpoints.
fn difference(
    old: &[(IpAddr, EndpointState)],
    new: &[(IpAddr, EndpointState)],
) -> Vec<EndpointChange> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.cmp(after),
        };
        match order {
            Ordering::Equal => {
                old.next();
                new.next();
            }
            Ordering::Less => {
                changes.extend(old.next().map(|(ip, state)| (*ip, Some(*state), None)));
            }
            Ordering::Greater => {
                changes.extend(new.next().map(|(ip, state)| (*ip, None, Some(*state))));
            }
        }
    }
}

fn is_ready_here(state: EndpointState) -> bool {
    state.is_ready() && state.is_local()
}

fn count_ready(addresses: &mut HashMap<IpAddr, u32>, address: IpAddr, more: bool) {
    if more {
        *addresses.entry(address).or_default() += 1;
    } else if let Some(ports) = addresses.get_mut(&address) {
        *ports -= 1;
        if *ports == 0 {
            addresses.remove(&address);
        }
    }
}
