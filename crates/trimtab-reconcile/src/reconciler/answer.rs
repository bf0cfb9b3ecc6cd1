//! Answering questions about what is programmed: read only.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::ObjectName;
use trimtab_core::{Frontend, Protocol, RealServerKey};

use super::Reconciler;
use crate::desired::FrontendSpec;
use crate::operation::ServiceId;
use crate::query::{
    Answer, Draining, FrontendStatus, Place, Query, RealServerStatus, Select, ServiceStatus,
};
use crate::services::ServiceEntry;
use crate::tables::{Deadline, ServerEntry};

/// A Service, a frontend and a real server: what it takes to go on.
const LEAST_ROWS: usize = 3;

impl Reconciler {
    /// Answers a question. Looks at the name of every Service, or at the address of every virtual
    /// server, and else only at what is told.
    pub fn answer(&self, query: &Query) -> Answer {
        let limit = query.limit.max(LEAST_ROWS);
        let mut asked = self.asked(&query.select);
        if let Some(first) = &query.from.service {
            asked.retain(|(_, entry)| entry.name >= *first);
        }
        // Every Service is a row, so no more of them can be told.
        if asked.len() > limit {
            asked.select_nth_unstable_by(limit, |a, b| a.1.name.cmp(&b.1.name));
            asked.truncate(limit + 1);
        }
        asked.sort_unstable_by(|a, b| a.1.name.cmp(&b.1.name));
        let mut answer = Answer::default();
        let mut room = limit;
        for (id, entry) in asked {
            let begin = match &query.from {
                place if place.service.as_ref() == Some(&entry.name) => place.clone(),
                _ => Place { service: Some(entry.name.clone()), ..Place::default() },
            };
            if room < LEAST_ROWS {
                answer.next = Some(begin);
                break;
            }
            let (status, next) = self.status(id, entry, begin, room - 1);
            room -= status.rows();
            answer.services.push(status);
            if next.is_some() {
                answer.next = next;
                break;
            }
        }
        answer
    }

    /// The Services that a question is about, in any order.
    fn asked(&self, select: &Select) -> Vec<(ServiceId, &ServiceEntry)> {
        let services = &self.input.services;
        let known = |id: ServiceId| Some((id, services.get(id)?));
        let mut asked: Vec<(ServiceId, &ServiceEntry)> = match select {
            Select::All => services.iter().collect(),
            Select::Namespace(namespace) => {
                services.iter().filter(|(_, it)| it.name.namespace() == &**namespace).collect()
            }
            Select::Service(name) => services.find(name).and_then(known).into_iter().collect(),
            Select::Address { address, port } => {
                let mut ids = self.claimants(*address, *port);
                ids.sort_unstable();
                ids.dedup();
                ids.into_iter().filter_map(known).collect()
            }
        };
        asked.retain(|(_, entry)| entry.service.is_some());
        asked
    }

    /// Who asks for frontends at an address, with repetitions.
    fn claimants(&self, address: IpAddr, port: Option<u16>) -> Vec<ServiceId> {
        let servers = &self.model.tables.virtual_servers;
        let found: Vec<_> = if let Some(port) = port {
            let frontends = Protocol::ALL.map(|protocol| Frontend::new(protocol, address, port));
            frontends.iter().filter_map(|frontend| servers.get(frontend)).collect()
        } else {
            let at = servers.iter().filter(|(it, _)| it.address() == Some(address));
            at.map(|(_, server)| server).collect()
        };
        let claimants = found.into_iter().flat_map(|server| {
            server.rivals.iter().copied().chain(server.wanted.map(|wanted| wanted.service))
        });
        claimants.collect()
    }

    /// A Service from a place on, and where it goes on if there is not room for all of it.
    fn status(
        &self,
        id: ServiceId,
        entry: &ServiceEntry,
        begin: Place,
        mut room: usize,
    ) -> (ServiceStatus, Option<Place>) {
        let mut frontends = Vec::new();
        let mut next = None;
        let mut place = begin;
        for spec in entry.specs.iter().skip(place.frontends) {
            if room < 2 {
                next = Some(place.clone());
                break;
            }
            let status = self.frontend_status(id, spec, place.real_servers, room - 1);
            room -= 1 + status.real_servers.len();
            let told = place.real_servers + status.real_servers.len();
            let is_whole = told >= status.real_server_count;
            frontends.push(status);
            if !is_whole {
                next = Some(Place { real_servers: told, ..place.clone() });
                break;
            }
            place.frontends += 1;
            place.real_servers = 0;
        }
        let status = ServiceStatus {
            service: entry.name.clone(),
            frontends,
            pending: entry.queued,
            retrying: self.work.retries.count_of(id),
            changed: entry.changed,
            failure: entry.failure.as_deref().cloned(),
            problems: self.problems_of(entry.name.clone()).found,
        };
        (status, next)
    }

    fn frontend_status(
        &self,
        id: ServiceId,
        spec: &FrontendSpec,
        skip: usize,
        room: usize,
    ) -> FrontendStatus {
        let server = self.model.tables.virtual_servers.get(&spec.frontend);
        let own = server.filter(|server| server.wanted.is_some_and(|it| it.service == id));
        let drain = own.and_then(|own| own.wanted).map(|wanted| wanted.drain).unwrap_or_default();
        let mut all: Vec<(&RealServerKey, &ServerEntry)> =
            own.into_iter().flat_map(|own| &own.servers).collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        let real_server_count = all.len();
        let shown = all.into_iter().skip(skip).take(room);
        FrontendStatus {
            frontend: spec.frontend,
            protocol: spec.protocol,
            kind: spec.kind.into(),
            port: spec.port.clone(),
            policy: spec.policy,
            held_by: self.held_by(id, spec).cloned(),
            inside: spec.inside.mark(),
            scheduler: spec.options.scheduler,
            flags: spec.options.flags,
            persistence: spec.options.persistence,
            max_connections: spec.max_connections,
            present: own.is_some_and(|server| server.known.is_some()),
            real_servers: shown.map(|(key, real)| real_server(*key, real, drain)).collect(),
            real_server_count,
        }
    }

    /// The other Service that has a frontend for which this one asks.
    fn held_by(&self, id: ServiceId, spec: &FrontendSpec) -> Option<&ObjectName> {
        let holder = self.holder(spec.frontend).filter(|holder| *holder != id)?;
        self.input.services.get(holder).map(|entry| &entry.name)
    }
}

fn real_server(key: RealServerKey, real: &ServerEntry, drain: Duration) -> RealServerStatus {
    RealServerStatus {
        key,
        wanted: real.wanted,
        present: real.known.map(|known| known.weight),
        // One without connections is not given its time; it goes with the next round.
        draining: real.drain_until.filter(|until| *until != Deadline::OVER).map(|until| {
            let until = until.moment();
            Draining { since: until.saturating_sub(drain), until }
        }),
    }
}
