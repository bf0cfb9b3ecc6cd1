//! Answering questions about what is programmed: read only.

use trimtab_core::objects::ObjectName;

use super::Reconciler;
use crate::desired::FrontendSpec;
use crate::operation::ServiceId;
use crate::query::{Answer, FrontendStatus, Query, QueryOf, RealServerStatus, ServiceStatus};
use crate::services::ServiceEntry;

impl Reconciler {
    /// Answers a question. Looks at the name of every Service, and else only at what is told.
    pub fn answer(&self, query: &Query) -> Answer {
        let is_asked_for = |name: &ObjectName| match &query.of {
            QueryOf::Service(asked) => name == asked,
            QueryOf::All => true,
            QueryOf::After(last) => name > last,
        };
        let entries = self.input.services.iter();
        let mut asked: Vec<(ServiceId, &ServiceEntry)> = entries
            .filter(|(_, entry)| entry.service.is_some() && is_asked_for(&entry.name))
            .collect();
        // Every Service is a row, so no more of them can be told.
        let most = query.limit.max(1);
        let mut answer = Answer { services: Vec::new(), more: asked.len() > most };
        if answer.more {
            asked.select_nth_unstable_by(most, |a, b| a.1.name.cmp(&b.1.name));
            asked.truncate(most);
        }
        asked.sort_unstable_by(|a, b| a.1.name.cmp(&b.1.name));
        let mut room = most;
        for (id, entry) in asked {
            if room == 0 {
                answer.more = true;
                break;
            }
            let status = self.status(id, entry, room - 1);
            room = room.saturating_sub(status.rows());
            answer.services.push(status);
        }
        answer
    }

    fn status(&self, id: ServiceId, entry: &ServiceEntry, mut room: usize) -> ServiceStatus {
        let mut frontends = Vec::new();
        let mut left_out = 0;
        for spec in entry.specs.iter() {
            let Some(rest) = room.checked_sub(1) else {
                left_out += 1;
                continue;
            };
            let status = self.frontend_status(id, spec, rest);
            room = rest - status.real_servers.len();
            frontends.push(status);
        }
        ServiceStatus {
            service: entry.name.clone(),
            frontends,
            left_out,
            pending: entry.queued,
            problems: self.problems_of(entry.name.clone()).found,
        }
    }

    fn frontend_status(&self, id: ServiceId, spec: &FrontendSpec, room: usize) -> FrontendStatus {
        let server = self.model.tables.virtual_servers.get(&spec.frontend);
        let holder = server.and_then(|server| server.wanted).map(|wanted| wanted.service);
        let other = holder.filter(|holder| *holder != id);
        let held_by = other.and_then(|other| self.input.services.get(other));
        let own = server.filter(|_| holder == Some(id));
        let mut real_servers: Vec<RealServerStatus> = own
            .into_iter()
            .flat_map(|server| &server.servers)
            .map(|(key, real)| RealServerStatus {
                key: *key,
                wanted: real.wanted,
                present: real.known.map(|known| known.weight),
            })
            .collect();
        real_servers.sort_unstable_by_key(|real| real.key);
        let real_server_count = real_servers.len();
        real_servers.truncate(room);
        FrontendStatus {
            frontend: spec.frontend,
            kind: spec.kind.as_str(),
            port: spec.port.clone(),
            held_by: held_by.map(|entry| entry.name.clone()),
            inside: spec.inside.mark(),
            scheduler: spec.options.scheduler,
            present: own.is_some_and(|server| server.known.is_some()),
            real_servers,
            real_server_count,
        }
    }
}
