//! The periodic comparison with the kernel.
//!
//! An audit is read beside the work, in pieces, so what it saw may be out of date when it gets
//! here. Virtual servers that look strange are therefore only noted, and read again before anything is
//! done about them. Set elements and addresses, of which the kernel shows all or none, are put right at
//! once, except those that were changed since the audit began: what it saw of them may be from before.
//!
//! Pieces are small and whatever concerns a whole table is one walk over it, so that an audit holds up
//! events for a millisecond at most.

use std::hash::Hash;
use std::net::IpAddr;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use trimtab_core::{Frontend, RealServer, SetElement, SetId, VirtualServer};

use super::{Drift, Reconciler};
use crate::operation::ServiceId;
use crate::tables::{self, Counted, KnownServer, KnownVirtualServer, ObjectKey};

impl Reconciler {
    /// A new audit begins: from now on it reads sets and addresses.
    pub fn begin_audit(&mut self) {
        self.model.begin_audit();
    }

    /// Some of the elements that a set in the kernel has.
    pub fn audit_elements(&mut self, set: SetId, elements: &[SetElement]) -> Drift {
        if set.kind.has_marks() {
            return self.audit_inside_marks(elements);
        }
        let mut drift = Drift::default();
        for element in elements {
            let object = ObjectKey::Element(set, *element);
            let judged = !self.model.is_changed_since_read(&object);
            let audit = self.model.audit_mark();
            if saw(self.model.tables.elements.of_mut(set), *element, audit, judged) {
                drift.elements += 1;
                self.touch(ServiceId::NOBODY, object);
            }
        }
        drift
    }

    fn audit_inside_marks(&mut self, elements: &[SetElement]) -> Drift {
        let mut drift = Drift::default();
        for element in elements {
            let Some(frontend) = tables::frontend_of(element) else { continue };
            let object = ObjectKey::InsideMark(frontend);
            if !self.model.is_changed_since_read(&object)
                && self.observe_inside_mark(frontend, tables::mark_of(element))
            {
                drift.elements += 1;
            }
            let audit = self.model.audit_mark();
            self.model.tables.inside.saw(frontend, audit);
        }
        drift
    }

    fn end_audit_of_inside_marks(&mut self, set: SetId) -> Drift {
        let audit = self.model.audit_mark();
        let unseen = self.model.tables.inside.unseen(set, audit);
        let missing: Vec<Frontend> = unseen
            .filter(|it| !self.model.is_changed_since_read(&ObjectKey::InsideMark(*it)))
            .collect();
        for frontend in &missing {
            self.observe_inside_mark(*frontend, None);
        }
        Drift { elements: missing.len(), ..Drift::default() }
    }

    /// All elements of a set have been seen.
    pub fn end_audit_of_elements(&mut self, set: SetId) -> Drift {
        if set.kind.has_marks() {
            return self.end_audit_of_inside_marks(set);
        }
        let audit = self.model.audit_mark();
        let missing: Vec<ObjectKey> = unseen(self.model.tables.elements.of(set), audit)
            .map(|element| ObjectKey::Element(set, element))
            .filter(|object| !self.model.is_changed_since_read(object))
            .collect();
        for object in &missing {
            if let ObjectKey::Element(set, element) = object {
                self.model.tables.elements.count(*set, *element).present = false;
            }
            self.touch(ServiceId::NOBODY, *object);
        }
        Drift { elements: missing.len(), ..Drift::default() }
    }

    /// Some of the VIPs that are bound.
    pub fn audit_addresses(&mut self, addresses: &[IpAddr]) -> Drift {
        let mut drift = Drift::default();
        for address in addresses {
            let object = ObjectKey::Address(*address);
            let judged = !self.model.is_changed_since_read(&object);
            let audit = self.model.audit_mark();
            if saw(&mut self.model.tables.addresses, *address, audit, judged) {
                drift.addresses += 1;
                self.touch(ServiceId::NOBODY, object);
            }
        }
        drift
    }

    /// All VIPs have been seen, and all elements of all sets before.
    pub fn end_audit_of_addresses(&mut self) -> Drift {
        let audit = self.model.audit_mark();
        let missing: Vec<IpAddr> = unseen(&self.model.tables.addresses, audit)
            .filter(|address| !self.model.is_changed_since_read(&ObjectKey::Address(*address)))
            .collect();
        for address in &missing {
            self.model.tables.addresses.entry(*address).or_default().present = false;
            self.touch(ServiceId::NOBODY, ObjectKey::Address(*address));
        }
        self.model.end_reading();
        Drift { addresses: missing.len(), ..Drift::default() }
    }

    /// Some of the virtual servers that the kernel has.
    pub fn audit_virtual_servers<'a>(
        &mut self,
        servers: impl IntoIterator<Item = &'a VirtualServer>,
    ) {
        for server in servers {
            let frontend = server.frontend;
            let is_strange =
                if let Some(entry) = self.model.tables.virtual_servers.get_mut(&frontend) {
                    entry.seen = self.model.audit;
                    entry.known != Some(KnownVirtualServer::of(server))
                } else {
                    let is_ours = self.model.is_ours(&frontend);
                    self.model.views.set_foreign(frontend, !is_ours, self.model.audit);
                    is_ours
                };
            if is_strange {
                self.work.to_reread.insert(frontend);
            }
        }
    }

    /// All virtual servers have been seen: those that should have been and were not are to be read again.
    pub fn end_audit_of_virtual_servers(&mut self) {
        for (frontend, entry) in &self.model.tables.virtual_servers {
            if entry.known.is_some() && entry.seen != self.model.audit {
                self.work.to_reread.insert(*frontend);
            }
        }
        self.model.views.end_audit(self.model.audit);
    }

    /// All real servers of one virtual server.
    pub fn audit_real_servers(
        &mut self,
        frontend: Frontend,
        servers: impl IntoIterator<Item = RealServer>,
    ) {
        let Some(entry) = self.model.tables.virtual_servers.get(&frontend) else { return };
        let known = entry.servers.values().filter(|real| real.known.is_some()).count();
        let mut seen = 0;
        let same = servers.into_iter().all(|server| {
            seen += 1;
            entry
                .servers
                .get(&server.key)
                .is_some_and(|real| real.known == Some(KnownServer::of(&server)))
        });
        if !same || seen != known {
            self.work.to_reread.insert(frontend);
        }
    }

    /// One virtual server is to be read again.
    pub fn reread(&mut self, frontend: Frontend) {
        self.work.to_reread.insert(frontend);
    }
}

/// Notes that an audit saw an object; whether it should not have been there.
fn saw<K: Eq + Hash>(table: &mut HashMap<K, Counted>, key: K, audit: u16, judged: bool) -> bool {
    match table.entry(key) {
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.seen = audit;
            judged && !std::mem::replace(&mut known.present, true)
        }
        Entry::Vacant(unknown) => {
            if judged {
                unknown.insert(Counted { wanted: 0, present: true, seen: audit });
            }
            judged
        }
    }
}

/// What should have been there and was not seen.
fn unseen<K: Copy>(table: &HashMap<K, Counted>, audit: u16) -> impl Iterator<Item = K> {
    table.iter().filter(move |(_, it)| it.present && it.seen != audit).map(|(key, _)| *key)
}
