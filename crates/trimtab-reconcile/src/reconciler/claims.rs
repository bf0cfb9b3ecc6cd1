//! Who has a frontend. Two Services may ask for the same one. The kind of the claim decides, then
//! age: whoever may create a Service can name any external IP, and so must not get what the cluster
//! gave to another (CVE-2020-8554). When the holder goes, the next takes over.

use trimtab_core::Frontend;

use super::Reconciler;
use crate::desired::{ClaimKind, FrontendSpec};
use crate::operation::ServiceId;
use crate::services::FrontendSpecs;
use crate::tables::{Deadline, ObjectKey, Wanted};
use trimtab_core::objects::ObjectName;

impl Reconciler {
    /// Takes over what a Service asks for now: frontends that are the same as before are not
    /// touched.
    pub(super) fn take_specs(&mut self, id: ServiceId, specs: FrontendSpecs) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if entry.specs != specs {
            let old = std::mem::replace(&mut entry.specs, specs);
            let changed: Vec<(Frontend, Option<&FrontendSpec>)> = entry
                .specs
                .iter()
                .map(|spec| (spec, old.get(&spec.frontend)))
                .filter(|(spec, before)| *before != Some(spec))
                .map(|(spec, before)| (spec.frontend, before))
                .collect();
            // New ones first: an element that moves from one frontend to another is never let go.
            for (frontend, before) in changed {
                self.claim(id, frontend, before);
            }
            for spec in old.iter() {
                let entry = self.input.services.get(id);
                if entry.is_some_and(|entry| entry.spec(&spec.frontend).is_none()) {
                    self.release(id, spec);
                }
            }
        }
        self.refresh_drain(id);
    }

    /// Real servers that drain already are given the Service's present time too.
    fn refresh_drain(&mut self, id: ServiceId) {
        let drain = self.drain_timeout(id);
        let Some(entry) = self.input.services.get(id) else { return };
        let mut moved = Vec::new();
        for spec in entry.specs.iter() {
            let Some(server) = self.model.tables.virtual_servers.get_mut(&spec.frontend) else {
                continue;
            };
            let Some(wanted) = server.wanted.as_mut().filter(|wanted| wanted.service == id) else {
                continue;
            };
            let before = std::mem::replace(&mut wanted.drain, drain);
            if before == drain {
                continue;
            }
            for (key, real) in &mut server.servers {
                if let Some(until) = real.drain_until.filter(|until| *until != Deadline::OVER) {
                    real.drain_until = Some(until.moved(before, drain));
                    moved.push(ObjectKey::RealServer(spec.frontend, *key));
                }
            }
        }
        for object in moved {
            self.touch(id, object);
        }
    }

    /// A Service asks for a frontend, or asks for it otherwise than before.
    fn claim(&mut self, id: ServiceId, frontend: Frontend, before: Option<&FrontendSpec>) {
        if matches!(frontend, Frontend::Mark { .. }) {
            // A new view is installed with the first frontend whose packets are given its mark.
            if before.is_some() && self.model.tables.inside.is_wanted(&frontend) {
                self.install(id, frontend);
            }
            return;
        }
        self.remove_rival(id, frontend);
        match self.holder(frontend) {
            None => self.install(id, frontend),
            Some(holder) if holder == id => {
                let heir = self.first_rival(frontend);
                match heir.filter(|heir| self.goes_before(*heir, id, frontend)) {
                    Some(heir) => self.hand_over(id, heir, frontend),
                    None => self.install(id, frontend),
                }
                if let Some(before) = before {
                    self.release_elements(id, before);
                }
            }
            Some(holder) if self.goes_before(id, holder, frontend) => {
                let spec = self.spec_of(holder, frontend);
                self.hand_over(holder, id, frontend);
                if let Some(spec) = spec {
                    self.release_elements(holder, &spec);
                }
            }
            Some(_) => self.add_rival(id, frontend),
        }
        self.rivals_changed(frontend);
    }

    /// Gives a frontend of one Service to another, which may have been its rival.
    fn hand_over(&mut self, from: ServiceId, to: ServiceId, frontend: Frontend) {
        self.remove_rival(to, frontend);
        self.install(to, frontend);
        self.add_rival(from, frontend);
    }

    /// A Service no longer asks for a frontend.
    fn release(&mut self, id: ServiceId, spec: &FrontendSpec) {
        let frontend = spec.frontend;
        if matches!(frontend, Frontend::Mark { .. }) {
            // It goes with the last frontend whose packets are given its mark.
            if !self.model.tables.virtual_servers.contains_key(&frontend) {
                self.model.views.release(frontend);
            }
            return;
        }
        self.remove_rival(id, frontend);
        if self.holder(frontend) != Some(id) {
            return;
        }
        self.rivals_changed(frontend);
        if let Some(heir) = self.first_rival(frontend) {
            self.remove_rival(heir, frontend);
            self.install(heir, frontend);
        } else {
            self.uninstall(id, frontend);
            self.want_inside_mark(id, frontend, None);
        }
        self.release_elements(id, spec);
    }

    /// Gives a frontend to a Service.
    pub(super) fn install(&mut self, id: ServiceId, frontend: Frontend) {
        let drain = self.drain_timeout(id);
        let Some(spec) = self.spec_of(id, frontend) else { return };
        self.owner_changed(frontend);
        let server = self.model.tables.virtual_servers.entry(frontend).or_default();
        server.wanted = Some(Wanted {
            service: id,
            protocol: spec.protocol,
            options: spec.options,
            max_connections: spec.max_connections,
            drain,
        });
        server.replan = true;
        self.work.leaving.remove(&frontend);
        self.keep_record(id, frontend);
        for element in spec.elements {
            self.count_element(id, element, true);
        }
        if let (true, Some(address)) = (spec.bind, frontend.address()) {
            self.count_address(id, address, true);
        }
        self.want_inside_mark(id, frontend, spec.inside.mark());
        self.fill_servers(id, frontend);
        self.touch(id, ObjectKey::VirtualServer(frontend));
    }

    /// Nobody has a frontend any more.
    pub(super) fn uninstall(&mut self, id: ServiceId, frontend: Frontend) {
        self.owner_changed(frontend);
        if let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) {
            server.wanted = None;
            server.replan = true;
            for known in server.servers.values_mut() {
                known.wanted = None;
            }
        }
        self.touch(id, ObjectKey::VirtualServer(frontend));
    }

    /// Gives up what belonged to a frontend besides its virtual server.
    fn release_elements(&mut self, id: ServiceId, spec: &FrontendSpec) {
        for element in &spec.elements {
            self.count_element(id, *element, false);
        }
        if let (true, Some(address)) = (spec.bind, spec.frontend.address()) {
            self.count_address(id, address, false);
        }
    }

    fn add_rival(&mut self, rival: ServiceId, frontend: Frontend) {
        let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) else { return };
        if !server.rivals.contains(&rival) {
            server.rivals.push(rival);
        }
    }

    fn remove_rival(&mut self, rival: ServiceId, frontend: Frontend) {
        let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) else { return };
        if let Some(place) = server.rivals.iter().position(|known| *known == rival) {
            server.rivals.swap_remove(place);
            self.problems_changed(rival);
        }
    }

    /// What each rival is told names the Service that has the frontend, and why.
    fn rivals_changed(&mut self, frontend: Frontend) {
        let Some(server) = self.model.tables.virtual_servers.get(&frontend) else { return };
        for rival in server.rivals.clone() {
            self.problems_changed(rival);
        }
    }

    pub(super) fn holder(&self, frontend: Frontend) -> Option<ServiceId> {
        let server = self.model.tables.virtual_servers.get(&frontend)?;
        server.wanted.map(|wanted| wanted.service)
    }

    /// The rival that is next to have a frontend.
    fn first_rival(&self, frontend: Frontend) -> Option<ServiceId> {
        let rivals = &self.model.tables.virtual_servers.get(&frontend)?.rivals;
        let first =
            |best, other| if self.goes_before(other, best, frontend) { other } else { best };
        rivals.iter().copied().reduce(first)
    }

    /// Whether one Service's claim to a frontend goes before another's: by kind, then by age.
    fn goes_before(&self, id: ServiceId, other: ServiceId, frontend: Frontend) -> bool {
        match (self.rank(id, frontend), self.rank(other, frontend)) {
            (Some(own), Some(other)) => own < other,
            (own, _) => own.is_some(),
        }
    }

    /// The smallest has the frontend.
    fn rank(&self, id: ServiceId, frontend: Frontend) -> Option<(ClaimKind, (i64, &ObjectName))> {
        let entry = self.input.services.get(id)?;
        let spec = entry.spec(&frontend)?;
        Some((spec.kind, entry.seniority()))
    }

    fn spec_of(&self, id: ServiceId, frontend: Frontend) -> Option<FrontendSpec> {
        self.input.services.get(id)?.spec(&frontend).cloned()
    }

    pub(super) fn drain_timeout(&self, id: ServiceId) -> std::time::Duration {
        self.input
            .services
            .get(id)
            .and_then(|entry| entry.service.as_ref())
            .and_then(|service| service.tuning.drain_timeout)
            .unwrap_or(self.settings.drain_timeout)
    }
}
