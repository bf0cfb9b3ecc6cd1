//! What Services ask for and do not get.

use super::Reconciler;
use crate::desired::{ClaimKind, FrontendSpec};
use crate::explanation::Precedence;
use crate::operation::ServiceId;
use crate::problem::{Problem, Reason, ServiceProblems};
use crate::services::ServiceEntry;
use crate::tables::ObjectKey;
use trimtab_core::objects::ObjectName;

/// Refusals that are told of one Service: where there are many, they are alike.
const MOST_REFUSALS: usize = 8;
/// Conflicts that are told of one Service.
const MOST_CONFLICTS: usize = 8;

impl Reconciler {
    /// Takes the Services whose problems changed since the last call, in order of name, each with
    /// all that it has now: nothing for one that had some and has none any more.
    pub fn take_problems(&mut self) -> Vec<ServiceProblems> {
        let mut names: Vec<ObjectName> = self.work.troubled.drain().collect();
        names.sort_unstable();
        names.into_iter().map(|name| self.problems_of(name)).collect()
    }

    /// Notes that a Service may have other problems than before.
    pub(super) fn problems_changed(&mut self, id: ServiceId) {
        if let Some(entry) = self.input.services.get(id)
            && !self.work.troubled.contains(&entry.name)
        {
            self.work.troubled.insert(entry.name.clone());
        }
    }

    /// The kernel goes on refusing something for a Service.
    pub(super) fn kernel_refuses(&mut self, id: ServiceId, object: ObjectKey, message: Box<str>) {
        let entry = self.input.services.get_mut(id).filter(|_| id != ServiceId::NOBODY);
        let Some(entry) = entry else { return };
        let is_full = entry.refusals.len() == MOST_REFUSALS;
        match entry.refusals.iter_mut().find(|(known, _)| *known == object) {
            Some((_, known)) if *known == message => return,
            Some((_, known)) => *known = message,
            None if is_full => return,
            None => entry.refusals.push((object, message)),
        }
        self.problems_changed(id);
    }

    /// The kernel no longer refuses something, or is no longer asked for it.
    pub(super) fn kernel_accepts(&mut self, id: ServiceId, object: &ObjectKey) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if let Some(place) = entry.refusals.iter().position(|(known, _)| known == object) {
            entry.refusals.swap_remove(place);
            self.problems_changed(id);
        }
    }

    pub(super) fn problems_of(&self, service: ObjectName) -> ServiceProblems {
        let id = self.input.services.find(&service);
        let entry = id.and_then(|id| Some((id, self.input.services.get(id)?)));
        let Some((id, entry, object)) =
            entry.and_then(|(id, entry)| Some((id, entry, entry.service.as_deref()?)))
        else {
            return ServiceProblems { service, uid: "".into(), found: Vec::new() };
        };
        let mut conflicts: Vec<Problem> = Vec::new();
        let mut more = 0;
        for (spec, holder) in self.conflicts(id, entry) {
            if conflicts.len() == MOST_CONFLICTS {
                more += 1;
            } else {
                let message = conflict(spec, holder);
                conflicts.push(Problem { reason: Reason::FrontendConflict, message });
            }
        }
        if more > 0 {
            let message = format!("{more} more frontends are served for other Services");
            conflicts.push(Problem { reason: Reason::FrontendConflict, message });
        }
        let unmarked = self.model.views.is_waiting(id).then(|| Problem {
            reason: Reason::NoMarkLeft,
            message:
                "spec.externalTrafficPolicy: Local, and every firewall mark of this node is taken; \
                      pods and the node itself reach the endpoints on this node only, as clients \
                      outside do"
                    .to_owned(),
        });
        let refusals = entry.refusals.iter().map(|(_, message)| Problem {
            reason: Reason::KernelRefused,
            message: message.to_string(),
        });
        let refused = entry.refused.iter().cloned();
        let found = refused.chain(conflicts).chain(unmarked).chain(refusals).collect();
        ServiceProblems { uid: object.uid.clone(), service, found }
    }

    /// What a Service asks for and another has.
    fn conflicts<'a>(
        &'a self,
        id: ServiceId,
        entry: &'a ServiceEntry,
    ) -> impl Iterator<Item = (&'a FrontendSpec, &'a ServiceEntry)> {
        entry.specs.iter().filter_map(move |spec| {
            let server = self.model.tables.virtual_servers.get(&spec.frontend)?;
            let holder = server.wanted.map(|wanted| wanted.service).filter(|had| *had != id)?;
            Some((spec, self.input.services.get(holder)?))
        })
    }
}

/// Why the claim of the Service that has a frontend goes before another.
pub(super) fn precedence(own: ClaimKind, holder: ClaimKind) -> Precedence {
    if holder == own { Precedence::Older } else { Precedence::StrongerKind }
}

fn conflict(spec: &FrontendSpec, holder: &ServiceEntry) -> String {
    let frontend = spec.frontend;
    let kind = holder.spec(&frontend).map_or(spec.kind, |theirs| theirs.kind);
    let why = match precedence(spec.kind, kind) {
        Precedence::Older => "which is older".to_owned(),
        Precedence::StrongerKind => {
            let (own, other) = (spec.kind.as_str(), kind.as_str());
            format!("as its {other}, which goes before the {own} of another Service")
        }
    };
    let name = &holder.name;
    format!("{frontend} is already served for {name}, {why}; it is not served for this Service")
}
