//! What Services ask for and do not get.

use super::Reconciler;
use crate::objects::ObjectName;
use crate::operation::Owner;
use crate::problem::{Problem, Reason, ServiceProblems};

impl Reconciler {
    /// Takes the Services whose problems changed since the last call, in order of name, each with
    /// all that it has now: nothing for one that had some and has none any more.
    pub fn take_problems(&mut self) -> Vec<ServiceProblems> {
        let mut names: Vec<ObjectName> = self.troubled.drain().collect();
        names.sort_unstable();
        names.into_iter().map(|name| self.problems_of(name)).collect()
    }

    /// Notes that a Service may have other problems than before.
    pub(super) fn problems_changed(&mut self, owner: Owner) {
        if let Some(entry) = self.services.get(owner) {
            self.troubled.insert(entry.name.clone());
        }
    }

    fn problems_of(&self, service: ObjectName) -> ServiceProblems {
        let owner = self.services.find(&service);
        let entry = owner.and_then(|owner| Some((owner, self.services.get(owner)?)));
        let Some((owner, entry, object)) =
            entry.and_then(|(owner, entry)| Some((owner, entry, entry.service.as_deref()?)))
        else {
            return ServiceProblems { service, uid: "".into(), found: Vec::new() };
        };
        let conflicts = entry.requests.iter().filter_map(|request| {
            let server = self.tables.virtual_servers.get(&request.frontend)?;
            let holder = server.wanted.map(|wanted| wanted.owner).filter(|had| *had != owner)?;
            let message = format!(
                "{} is already served for {}, which is older; it is not served for this Service",
                request.frontend,
                self.services.get(holder)?.name
            );
            Some(Problem { reason: Reason::FrontendConflict, message })
        });
        let found = entry.refused.iter().cloned().chain(conflicts).collect();
        ServiceProblems { uid: object.uid.clone(), service, found }
    }
}
