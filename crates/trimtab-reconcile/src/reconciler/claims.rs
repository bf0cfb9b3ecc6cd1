//! Who has a frontend. Two Services may ask for the same one; the older has it, and when it goes
//! the next takes over.

use hashbrown::HashMap;
use trimtab_core::Frontend;

use super::Reconciler;
use crate::desired::Request;
use crate::operation::Owner;
use crate::tables::{Item, Wanted};

impl Reconciler {
    /// Takes over what a Service asks for now: frontends that are the same as before are not
    /// touched.
    pub(super) fn take_requests(&mut self, owner: Owner, requests: Vec<Request>) {
        let Some(entry) = self.services.get_mut(owner) else { return };
        if entry.requests != requests {
            let old = std::mem::replace(&mut entry.requests, requests);
            let mut old: HashMap<Frontend, Request> =
                old.into_iter().map(|request| (request.frontend, request)).collect();
            let changed: Vec<(Frontend, Option<Request>)> = entry
                .requests
                .iter()
                .filter_map(|request| match old.remove(&request.frontend) {
                    Some(before) if before == *request => None,
                    before => Some((request.frontend, before)),
                })
                .collect();
            // New ones first: an element that moves from one frontend to another is never let go.
            for (frontend, before) in changed {
                self.claim(owner, frontend, before.as_ref());
            }
            for request in old.values() {
                self.release(owner, request);
            }
        }
        self.refresh_drain(owner);
    }

    fn refresh_drain(&mut self, owner: Owner) {
        let drain = self.drain_timeout(owner);
        let Some(entry) = self.services.get(owner) else { return };
        for request in &entry.requests {
            let server = self.tables.virtual_servers.get_mut(&request.frontend);
            if let Some(wanted) = server.and_then(|server| server.wanted.as_mut())
                && wanted.owner == owner
            {
                wanted.drain = drain;
            }
        }
    }

    /// A Service asks for a frontend, or asks for it otherwise than before.
    fn claim(&mut self, owner: Owner, frontend: Frontend, before: Option<&Request>) {
        let server = self.tables.virtual_servers.entry(frontend).or_default();
        match server.wanted.map(|wanted| wanted.owner) {
            Some(holder) if holder == owner => {
                self.install(owner, frontend);
                if let Some(before) = before {
                    self.let_go(owner, before);
                }
            }
            None => self.install(owner, frontend),
            Some(holder) if self.is_senior(owner, holder) => {
                if let Some(request) = self.request_of(holder, frontend) {
                    self.install(owner, frontend);
                    self.let_go(holder, &request);
                    self.add_rival(holder, frontend);
                }
            }
            Some(_) => self.add_rival(owner, frontend),
        }
    }

    /// A Service no longer asks for a frontend.
    fn release(&mut self, owner: Owner, request: &Request) {
        let frontend = request.frontend;
        let Some(server) = self.tables.virtual_servers.get_mut(&frontend) else { return };
        if let Some(place) = server.rivals.iter().position(|rival| *rival == owner) {
            server.rivals.swap_remove(place);
            self.problems_changed(owner);
            return;
        }
        if server.wanted.is_none_or(|wanted| wanted.owner != owner) {
            return;
        }
        let heirs = std::mem::take(&mut server.rivals);
        let heir = heirs
            .iter()
            .copied()
            .reduce(|best, other| if self.is_senior(other, best) { other } else { best });
        for rival in &heirs {
            self.problems_changed(*rival);
        }
        if let Some(heir) = heir {
            if let Some(server) = self.tables.virtual_servers.get_mut(&frontend) {
                server.rivals = heirs.into_iter().filter(|rival| *rival != heir).collect();
            }
            self.install(heir, frontend);
        } else {
            if let Some(server) = self.tables.virtual_servers.get_mut(&frontend) {
                server.wanted = None;
                server.due = true;
                for known in server.servers.values_mut() {
                    known.wanted = None;
                }
            }
            self.touch(owner, Item::VirtualServer(frontend));
        }
        self.let_go(owner, request);
    }

    /// Gives a frontend to a Service.
    fn install(&mut self, owner: Owner, frontend: Frontend) {
        let drain = self.drain_timeout(owner);
        let Some(request) = self.request_of(owner, frontend) else { return };
        let server = self.tables.virtual_servers.entry(frontend).or_default();
        server.wanted = Some(Wanted {
            owner,
            options: request.options,
            max_connections: request.max_connections,
            drain,
        });
        server.due = true;
        for element in request.elements {
            self.count_element(owner, element, true);
        }
        if let (true, Some(address)) = (request.bind, frontend.address()) {
            self.count_address(owner, address, true);
        }
        self.fill_servers(owner, frontend);
        self.touch(owner, Item::VirtualServer(frontend));
    }

    /// Gives up what belonged to a frontend besides its virtual server.
    fn let_go(&mut self, owner: Owner, request: &Request) {
        for element in &request.elements {
            self.count_element(owner, *element, false);
        }
        if let (true, Some(address)) = (request.bind, request.frontend.address()) {
            self.count_address(owner, address, false);
        }
    }

    fn add_rival(&mut self, rival: Owner, frontend: Frontend) {
        let Some(server) = self.tables.virtual_servers.get_mut(&frontend) else { return };
        if !server.rivals.contains(&rival) {
            server.rivals.push(rival);
        }
        // What each of them is told names the one that has it.
        for rival in server.rivals.clone() {
            self.problems_changed(rival);
        }
    }

    fn is_senior(&self, owner: Owner, other: Owner) -> bool {
        match (self.services.get(owner), self.services.get(other)) {
            (Some(owner), Some(other)) => owner.seniority() < other.seniority(),
            (owner, _) => owner.is_some(),
        }
    }

    fn request_of(&self, owner: Owner, frontend: Frontend) -> Option<Request> {
        let entry = self.services.get(owner)?;
        entry.requests.iter().find(|request| request.frontend == frontend).cloned()
    }

    fn drain_timeout(&self, owner: Owner) -> std::time::Duration {
        self.services
            .get(owner)
            .and_then(|entry| entry.service.as_ref())
            .and_then(|service| service.tuning.drain_timeout)
            .unwrap_or(self.settings.drain_timeout)
    }
}
