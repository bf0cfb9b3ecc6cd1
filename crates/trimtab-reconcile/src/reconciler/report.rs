//! What a failed operation means.

use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use trimtab_core::{Frontend, Scheduler};

use super::Reconciler;
use crate::execute::{Refused, Report};
use crate::operation::{Action, Operation, ServiceId};
use crate::plan::Plan;
use crate::query::Failure;
use crate::tables::{self, ObjectKey};

/// Failures in a row that are worth telling the Service: three seconds' worth.
const LASTING: u32 = 3;

impl Reconciler {
    /// Takes note of what became of `plan`. What the kernel refused is put right: an object that
    /// is unexpectedly there or not there is a matter of [`Reconciler::take_to_reread`], anything else
    /// is tried again later, for that object alone.
    pub fn take_report(&mut self, plan: &Plan, report: &Report, now: Duration) {
        if self.work.retries.len() > 0 {
            self.forget_retries(plan, report);
        }
        self.note_changed(plan, report, now);
        for (operation, why) in &report.failed {
            self.take_failure(operation, why, now);
        }
        for operation in &report.withheld {
            let object = object_of(&operation.action);
            self.revert(&operation.action);
            self.work.retries.withheld(object, operation.service, now);
        }
        let failed = report.failed.iter();
        let foreign: HashSet<Frontend> =
            failed.filter_map(|(operation, why)| is_somebody_elses(operation, why)).collect();
        if !foreign.is_empty() {
            self.give_up_marks(&foreign, plan, report);
        }
        self.give_free_marks();
    }

    /// Virtual servers of which the kernel said something unexpected: read them and pass what they
    /// are to [`Reconciler::observe_virtual_server`]. At most `most` of them; the others wait.
    pub fn take_to_reread(&mut self, most: usize) -> Vec<Frontend> {
        let taken: Vec<Frontend> = self.work.to_reread.iter().take(most).copied().collect();
        for frontend in &taken {
            self.work.to_reread.remove(frontend);
        }
        taken
    }

    /// Whether there is something left for [`Reconciler::take_to_reread`].
    pub fn has_to_reread(&self) -> bool {
        !self.work.to_reread.is_empty()
    }

    fn take_failure(&mut self, operation: &Operation, why: &Refused, now: Duration) {
        let object = object_of(&operation.action);
        let expected = matches!(
            (&operation.action, why),
            (Action::DeleteVirtualServer(_) | Action::DeleteRealServer(..), Refused::NotFound)
        );
        if expected {
            return;
        }
        self.revert(&operation.action);
        if is_somebody_elses(operation, why).is_some() {
            return;
        }
        if let Some(frontend) = operation.action.frontend() {
            self.work.to_reread.insert(frontend);
        }
        match why {
            // Asked for by a Service: there is another way at once.
            Refused::NoScheduler(_)
                if scheduler_of(&operation.action)
                    .is_some_and(|scheduler| self.scheduler_lacks(scheduler, now)) => {}
            // Not the kernel's trouble but our belief about it: look, and go on at once.
            Refused::NotFound | Refused::Exists if operation.action.frontend().is_some() => {
                self.work.retries.surprised(object, operation.service, now);
            }
            _ => {
                self.note_failure(operation, why, now);
                if self.work.retries.failed(object, operation.service, now) >= LASTING {
                    let message = format!("cannot {}: {why}", operation.action);
                    self.kernel_refuses(operation.service, object, message.into());
                }
            }
        }
    }

    /// Notes the first failure of a round for its Service: where there are thousands, they are alike.
    fn note_failure(&mut self, operation: &Operation, why: &Refused, now: Duration) {
        let entry = self.input.services.get_mut(operation.service);
        let Some(entry) = entry.filter(|it| it.service.is_some()) else { return };
        if entry.failure.as_ref().is_none_or(|failure| failure.at != now) {
            let message = format!("cannot {}: {why}", operation.action).into();
            entry.failure = Some(Box::new(Failure { at: now, message }));
        }
    }

    /// Notes when something was last done for each Service of a plan.
    fn note_changed(&mut self, plan: &Plan, report: &Report, now: Duration) {
        let mut undone: HashMap<ServiceId, usize> = HashMap::new();
        let failed = report.failed.iter().map(|(failed, _)| failed);
        for operation in failed.chain(&report.withheld) {
            *undone.entry(operation.service).or_default() += 1;
        }
        for operation in plan.operations() {
            if let Some(count) = undone.get_mut(&operation.service).filter(|count| **count > 0) {
                *count -= 1;
            } else if let Some(entry) = self.input.services.get_mut(operation.service) {
                entry.changed = Some(now);
            }
        }
    }

    fn forget_retries(&mut self, plan: &Plan, report: &Report) {
        let failed = report.failed.iter().map(|(failed, _)| failed);
        let unsettled: HashSet<ObjectKey> =
            failed.chain(&report.withheld).map(|operation| object_of(&operation.action)).collect();
        for operation in plan.operations() {
            let object = object_of(&operation.action);
            if !unsettled.contains(&object) {
                self.forget_retry(&object);
            }
        }
    }

    /// Forgets that an object failed: it is as wanted, or no longer there.
    pub(super) fn forget_retry(&mut self, object: &ObjectKey) {
        if let Some(id) = self.work.retries.succeeded(object) {
            self.kernel_accepts(id, object);
        }
    }

    /// Takes the belief back that an operation was done.
    fn revert(&mut self, action: &Action) {
        self.model.tables.revert(action);
        if let Action::DeleteVirtualServer(frontend) = action {
            self.deletion_failed(*frontend);
        }
    }
}

/// The mark that somebody else has, if that is why an operation failed: before we make a virtual server
/// for a mark, the kernel is known to have none.
fn is_somebody_elses(operation: &Operation, why: &Refused) -> Option<Frontend> {
    match (&operation.action, why) {
        (Action::AddVirtualServer(server), Refused::Exists) => {
            Some(server.frontend).filter(|it| matches!(it, Frontend::Mark { .. }))
        }
        _ => None,
    }
}

fn scheduler_of(action: &Action) -> Option<Scheduler> {
    match action {
        Action::AddVirtualServer(server) | Action::SetVirtualServer(server) => {
            Some(server.scheduler)
        }
        _ => None,
    }
}

/// The object that an operation is about.
fn object_of(action: &Action) -> ObjectKey {
    match action {
        Action::AddElement(set, element) | Action::DeleteElement(set, element) => {
            let inside = tables::frontend_of(element).filter(|_| set.kind.has_marks());
            inside.map_or(ObjectKey::Element(*set, *element), ObjectKey::InsideMark)
        }
        Action::AddAddress(address) | Action::DeleteAddress(address) => {
            ObjectKey::Address(*address)
        }
        Action::AddVirtualServer(server) | Action::SetVirtualServer(server) => {
            ObjectKey::VirtualServer(server.frontend)
        }
        Action::DeleteVirtualServer(frontend) => ObjectKey::VirtualServer(*frontend),
        Action::AddRealServer(frontend, server)
        | Action::SetRealServer(frontend, server)
        | Action::DrainRealServer(frontend, server) => ObjectKey::RealServer(*frontend, server.key),
        Action::DeleteRealServer(frontend, key) => ObjectKey::RealServer(*frontend, *key),
    }
}
