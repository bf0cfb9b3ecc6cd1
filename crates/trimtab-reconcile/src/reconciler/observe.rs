//! What the kernel really holds: read whole when the program starts, and later wherever something
//! looked wrong. The kernel is believed; what differs from what is wanted is noted as changed.

use std::net::IpAddr;
use std::ops::AddAssign;

use hashbrown::HashSet;
use trimtab_core::{Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};

use super::Reconciler;
use crate::operation::ServiceId;
use crate::tables::{self, KnownServer, KnownVirtualServer, ObjectKey, VirtualServerEntry};

/// How many objects in the kernel were not as they were known to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Virtual servers.
    pub virtual_servers: usize,
    /// Real servers.
    pub real_servers: usize,
    /// Set elements.
    pub elements: usize,
    /// VIPs on the dummy interface.
    pub addresses: usize,
}

impl Drift {
    /// Whether everything was as known.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Drift {
    fn add_assign(&mut self, other: Self) {
        self.virtual_servers += other.virtual_servers;
        self.real_servers += other.real_servers;
        self.elements += other.elements;
        self.addresses += other.addresses;
    }
}

impl Reconciler {
    /// All elements of a set as the kernel has them. Sets come before virtual servers: they say
    /// which of those are ours.
    pub fn observe_elements(
        &mut self,
        set: SetId,
        elements: impl IntoIterator<Item = SetElement>,
    ) -> Drift {
        if set.kind.has_marks() {
            return self.observe_inside_marks(set, elements);
        }
        let present: HashSet<SetElement> = elements.into_iter().collect();
        let mut changed = Vec::new();
        let mut drift = Drift::default();
        for (element, counted) in self.model.tables.elements.of_mut(set) {
            if counted.present != present.contains(element) {
                counted.present = !counted.present;
                drift.elements += 1;
                changed.push(*element);
            }
        }
        for element in present {
            let counted = self.model.tables.elements.count(set, element);
            if !counted.present {
                counted.present = true;
                drift.elements += 1;
                changed.push(element);
            }
        }
        for element in changed {
            self.touch(ServiceId::NOBODY, ObjectKey::Element(set, element));
        }
        drift
    }

    fn observe_inside_marks(
        &mut self,
        set: SetId,
        elements: impl IntoIterator<Item = SetElement>,
    ) -> Drift {
        let mut unseen: HashSet<Frontend> = self.model.tables.inside.known_in(set).collect();
        let mut drift = Drift::default();
        for element in elements {
            let Some(frontend) = tables::frontend_of(&element) else { continue };
            unseen.remove(&frontend);
            if self.observe_inside_mark(frontend, tables::mark_of(&element)) {
                drift.elements += 1;
            }
        }
        for frontend in unseen {
            self.observe_inside_mark(frontend, None);
            drift.elements += 1;
        }
        drift
    }

    /// All VIPs on the dummy interface as the kernel has them.
    pub fn observe_addresses(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Drift {
        let present: HashSet<IpAddr> = addresses.into_iter().collect();
        let mut changed = Vec::new();
        for (address, counted) in &mut self.model.tables.addresses {
            if counted.present != present.contains(address) {
                counted.present = !counted.present;
                changed.push(*address);
            }
        }
        for address in present {
            let counted = self.model.tables.addresses.entry(address).or_default();
            if !counted.present {
                counted.present = true;
                changed.push(address);
            }
        }
        let drift = Drift { addresses: changed.len(), ..Drift::default() };
        for address in changed {
            self.touch(ServiceId::NOBODY, ObjectKey::Address(address));
        }
        drift
    }

    /// VIPs that the kernel says are bound no more. Those that were let go of are known to be.
    pub fn observe_unbound(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Drift {
        let mut drift = Drift::default();
        for address in addresses {
            if let Some(counted) = self.model.tables.addresses.get_mut(&address)
                && std::mem::replace(&mut counted.present, false)
            {
                drift.addresses += 1;
                self.touch(ServiceId::NOBODY, ObjectKey::Address(address));
            }
        }
        drift
    }

    /// One virtual server as the kernel has it, or that it has none. One that nobody asks for and
    /// that no set names is somebody else's and is not kept in mind.
    pub fn observe_virtual_server(
        &mut self,
        frontend: Frontend,
        server: Option<&VirtualServer>,
    ) -> Drift {
        let found = server.map(KnownVirtualServer::of);
        // Also while we have not taken our hands off it.
        if self.model.views.is_foreign(&frontend) {
            self.model.views.set_foreign(frontend, found.is_some(), self.model.audit);
            return Drift::default();
        }
        if !self.model.tables.virtual_servers.contains_key(&frontend) {
            let is_ours = self.model.is_ours(&frontend);
            self.model.views.set_foreign(frontend, found.is_some() && !is_ours, self.model.audit);
            if found.is_none() || !is_ours {
                return Drift::default();
            }
            self.model.tables.virtual_servers.insert(frontend, VirtualServerEntry::default());
            self.keep_record(ServiceId::NOBODY, frontend);
        }
        let Some(entry) = self.model.tables.virtual_servers.get_mut(&frontend) else {
            return Drift::default();
        };
        if entry.known == found {
            return Drift::default();
        }
        if entry.known.is_none() || found.is_none() {
            for real in entry.servers.values_mut() {
                real.known = None;
            }
        }
        entry.known = found;
        entry.replan = true;
        let id = entry.wanted.map_or(ServiceId::NOBODY, |wanted| wanted.service);
        self.touch(id, ObjectKey::VirtualServer(frontend));
        Drift { virtual_servers: 1, ..Drift::default() }
    }

    /// All real servers of a virtual server as the kernel has them.
    pub fn observe_real_servers(
        &mut self,
        frontend: Frontend,
        servers: impl IntoIterator<Item = RealServer>,
    ) -> Drift {
        let Some(entry) = self.model.tables.virtual_servers.get_mut(&frontend) else {
            return Drift::default();
        };
        let id = entry.wanted.map_or(ServiceId::NOBODY, |wanted| wanted.service);
        let mut unseen: HashSet<RealServerKey> = entry
            .servers
            .iter()
            .filter(|(_, real)| real.known.is_some())
            .map(|(key, _)| *key)
            .collect();
        let mut changed: Vec<RealServerKey> = Vec::new();
        for server in servers {
            unseen.remove(&server.key);
            let real = entry.servers.entry(server.key).or_default();
            let found = Some(KnownServer::of(&server));
            if real.known != found {
                real.known = found;
                changed.push(server.key);
            }
        }
        for key in unseen {
            if let Some(real) = entry.servers.get_mut(&key) {
                real.known = None;
                changed.push(key);
            }
        }
        let drift = Drift { real_servers: changed.len(), ..Drift::default() };
        if !entry.replan {
            for key in changed {
                self.touch(id, ObjectKey::RealServer(frontend, key));
            }
        }
        drift
    }

    /// The virtual servers that the kernel is known to have: those whose real servers are ours to
    /// read.
    pub fn known_frontends(&self) -> impl Iterator<Item = Frontend> + '_ {
        self.model
            .tables
            .virtual_servers
            .iter()
            .filter(|(_, entry)| entry.known.is_some())
            .map(|(frontend, _)| *frontend)
    }
}
