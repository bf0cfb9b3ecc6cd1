//! Who has a frontend. Two Services may ask for the same one. The kind of the claim decides, then
//! age: whoever may create a Service can name any external IP, and so must not get what the cluster
//! gave to another (CVE-2020-8554). When the holder goes, the next takes over.

use trimtab_core::Frontend;

use super::Reconciler;
use crate::desired::{ClaimKind, Request};
use crate::operation::ServiceId;
use crate::services::Requests;
use crate::tables::{Deadline, ObjectKey, Wanted};
use trimtab_core::objects::ObjectName;

impl Reconciler {
    /// Takes over what a Service asks for now: frontends that are the same as before are not
    /// touched.
    pub(super) fn take_requests(&mut self, id: ServiceId, requests: Requests) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if entry.requests != requests {
            let old = std::mem::replace(&mut entry.requests, requests);
            let changed: Vec<(Frontend, Option<&Request>)> = entry
                .requests
                .iter()
                .map(|request| (request, old.get(&request.frontend)))
                .filter(|(request, before)| *before != Some(request))
                .map(|(request, before)| (request.frontend, before))
                .collect();
            // New ones first: an element that moves from one frontend to another is never let go.
            for (frontend, before) in changed {
                self.claim(id, frontend, before);
            }
            for request in old.iter() {
                let entry = self.input.services.get(id);
                if entry.is_some_and(|entry| entry.request(&request.frontend).is_none()) {
                    self.release(id, request);
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
        for request in entry.requests.iter() {
            let Some(server) = self.model.tables.virtual_servers.get_mut(&request.frontend) else {
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
                    moved.push(ObjectKey::RealServer(request.frontend, *key));
                }
            }
        }
        for object in moved {
            self.touch(id, object);
        }
    }

    /// A Service asks for a frontend, or asks for it otherwise than before.
    fn claim(&mut self, id: ServiceId, frontend: Frontend, before: Option<&Request>) {
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
                    self.let_go(id, before);
                }
            }
            Some(holder) if self.goes_before(id, holder, frontend) => {
                let request = self.request_of(holder, frontend);
                self.hand_over(holder, id, frontend);
                if let Some(request) = request {
                    self.let_go(holder, &request);
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
    fn release(&mut self, id: ServiceId, request: &Request) {
        let frontend = request.frontend;
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
        self.let_go(id, request);
    }

    /// Gives a frontend to a Service.
    pub(super) fn install(&mut self, id: ServiceId, frontend: Frontend) {
        let drain = self.drain_timeout(id);
        let Some(request) = self.request_of(id, frontend) else { return };
        let server = self.model.tables.virtual_servers.entry(frontend).or_default();
        server.wanted = Some(Wanted {
            service: id,
            protocol: request.protocol,
            options: request.options,
            max_connections: request.max_connections,
            drain,
        });
        server.due = true;
        self.work.leaving.remove(&frontend);
        self.keep_record(id, frontend);
        for element in request.elements {
            self.count_element(id, element, true);
        }
        if let (true, Some(address)) = (request.bind, frontend.address()) {
            self.count_address(id, address, true);
        }
        self.want_inside_mark(id, frontend, request.inside.mark());
        self.fill_servers(id, frontend);
        self.touch(id, ObjectKey::VirtualServer(frontend));
    }

    /// Nobody has a frontend any more.
    pub(super) fn uninstall(&mut self, id: ServiceId, frontend: Frontend) {
        if let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) {
            server.wanted = None;
            server.due = true;
            for known in server.servers.values_mut() {
                known.wanted = None;
            }
        }
        self.touch(id, ObjectKey::VirtualServer(frontend));
    }

    /// Gives up what belonged to a frontend besides its virtual server.
    fn let_go(&mut self, id: ServiceId, request: &Request) {
        for element in &request.elements {
            self.count_element(id, *element, false);
        }
        if let (true, Some(address)) = (request.bind, request.frontend.address()) {
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
        let request = entry.request(&frontend)?;
        Some((request.kind, entry.seniority()))
    }

    fn request_of(&self, id: ServiceId, frontend: Frontend) -> Option<Request> {
        self.input.services.get(id)?.request(&frontend).cloned()
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
