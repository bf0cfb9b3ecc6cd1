//! Turning what is noted as changed into operations.
//!
//! What is planned is believed to be done, as `tables::belief` says; [`Reconciler::take_report`] takes that
//! back where it failed.

use std::time::Duration;

use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey};

use super::Reconciler;
use crate::operation::{Action, ServiceId};
use crate::order;
use crate::plan::Plan;
use crate::tables::{
    Deadline, KnownServer, KnownVirtualServer, ObjectKey, ServerEntry, VirtualServerEntry, Wanted,
};

/// What planning one virtual server needs to know besides the virtual server.
struct PlanContext<'a> {
    now: Duration,
    order_seed: u64,
    service: ServiceId,
    plan: &'a mut Plan,
    first_drain_end: &'a mut Option<Deadline>,
}

impl Reconciler {
    /// The next operations: Services that everything else needs first, then in the order in which
    /// they changed, at least one Service and at most about `limit` operations. Call again, after
    /// [`Reconciler::take_report`], until the plan is empty.
    pub fn plan(&mut self, now: Duration, limit: usize) -> Plan {
        let mut plan = Plan::new();
        self.try_schedulers_again(now);
        for (frontend, key) in std::mem::take(&mut self.work.strays) {
            plan.push(ServiceId::NOBODY, Action::DeleteRealServer(frontend, key));
        }
        while let Some((id, object)) = self.work.retries.pop(now) {
            if let ObjectKey::VirtualServer(frontend) = object
                && let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend)
            {
                server.replan = true;
            }
            self.touch(id, object);
        }
        while plan.len() < limit {
            let Some(id) = self.work.next() else {
                break;
            };
            self.choose_marks(id);
            let Some(entry) = self.input.services.get_mut(id) else { continue };
            entry.queued = false;
            let mut pending = std::mem::take(&mut entry.pending);
            for object in &pending {
                if self.work.retries.holds(object, now) {
                    continue;
                }
                let before = plan.len();
                self.plan_object(id, *object, now, &mut plan);
                if plan.len() == before {
                    // Nothing left to do about it, so nothing to try again.
                    self.forget_retry(object);
                }
            }
            // The list is kept for the next change, unless this was the first, long one.
            if pending.capacity() <= 8
                && let Some(entry) = self.input.services.get_mut(id)
                && entry.pending.is_empty()
            {
                pending.clear();
                entry.pending = pending;
            }
            self.input.services.tidy(id);
        }
        plan
    }

    fn plan_object(&mut self, id: ServiceId, object: ObjectKey, now: Duration, plan: &mut Plan) {
        match object {
            ObjectKey::VirtualServer(frontend) => {
                let Some(mut server) = self.model.tables.virtual_servers.remove(&frontend) else {
                    return;
                };
                server.replan = false;
                if server.wanted.is_none() && server.known.is_some() && self.lingers(frontend, now)
                {
                    self.model.tables.virtual_servers.insert(frontend, server);
                    return;
                }
                let excluded = frontend.address().is_some_and(|a| self.settings.is_excluded(a));
                let first_drain_end = &mut self.work.first_drain_end;
                let context = PlanContext {
                    now,
                    order_seed: self.order_seed,
                    service: id,
                    plan,
                    first_drain_end,
                };
                if plan_virtual_server(frontend, &mut server, excluded, context) {
                    self.note_draining(frontend, &server);
                    self.model.tables.virtual_servers.insert(frontend, server);
                } else {
                    self.work.draining.remove(&frontend);
                    self.work.leaving.remove(&frontend);
                    self.release_mark(frontend);
                    self.drop_record(id, frontend);
                }
            }
            ObjectKey::RealServer(frontend, key) => {
                if self.work.retries.holds(&ObjectKey::VirtualServer(frontend), now) {
                    return;
                }
                let Some(server) = self.model.tables.virtual_servers.get_mut(&frontend) else {
                    return;
                };
                // A virtual server that is due will be planned whole.
                let (Some(wanted), Some(_), false) = (server.wanted, server.known, server.replan)
                else {
                    return;
                };
                let first_drain_end = &mut self.work.first_drain_end;
                let mut context = PlanContext {
                    now,
                    order_seed: self.order_seed,
                    service: id,
                    plan,
                    first_drain_end,
                };
                if let Some(real) = server.servers.get_mut(&key) {
                    if !plan_real_server(frontend, &wanted, key, real, &mut context) {
                        server.servers.remove(&key);
                    } else if real.drain_until.is_some() {
                        self.work.draining.insert(frontend);
                    }
                    plan_options(frontend, &wanted, server, &mut context);
                }
            }
            ObjectKey::Element(set, element) => {
                if let Some(action) = self.model.change_element(set, element) {
                    plan.push(id, action);
                }
            }
            ObjectKey::Address(address) => {
                if let Some(action) = self.model.change_address(address) {
                    plan.push(id, action);
                }
            }
            ObjectKey::InsideMark(frontend) => self.plan_inside_mark(id, frontend, plan),
        }
    }

    fn note_draining(&mut self, frontend: Frontend, server: &VirtualServerEntry) {
        if server.servers.values().any(|real| real.drain_until.is_some()) {
            self.work.draining.insert(frontend);
        } else {
            self.work.draining.remove(&frontend);
        }
    }
}

/// Plans a whole virtual server; whether there is still reason to keep its entry.
fn plan_virtual_server(
    frontend: Frontend,
    server: &mut VirtualServerEntry,
    excluded: bool,
    mut context: PlanContext<'_>,
) -> bool {
    let Some(wanted) = server.wanted else {
        if server.known.is_some() && !excluded {
            let action = Action::DeleteVirtualServer(frontend);
            server.assume(&action);
            context.plan.push(context.service, action);
        }
        return false;
    };
    if server.known.is_none() {
        let action = Action::AddVirtualServer(wanted.options.at(frontend));
        server.assume(&action);
        context.plan.push(context.service, action);
    }
    let mut keys: Vec<RealServerKey> = server.servers.keys().copied().collect();
    keys.sort_unstable_by_key(|key| order::rank(context.order_seed, key));
    for key in keys {
        if let Some(real) = server.servers.get_mut(&key)
            && !plan_real_server(frontend, &wanted, key, real, &mut context)
        {
            server.servers.remove(&key);
        }
    }
    plan_options(frontend, &wanted, server, &mut context);
    true
}

/// Plans the options of a virtual server that the kernel has.
fn plan_options(
    frontend: Frontend,
    wanted: &Wanted,
    server: &mut VirtualServerEntry,
    context: &mut PlanContext<'_>,
) {
    let is_draining = || server.servers.values().any(|real| real.drain_until.is_some());
    let mut options = wanted.options;
    // Looked for only where it makes a difference: there may be thousands of real servers.
    if options.while_draining() != options && is_draining() {
        options = options.while_draining();
    }
    let goal = Some(KnownVirtualServer { options, foreign_settings: false });
    if server.known.is_some() && server.known != goal {
        let action = Action::SetVirtualServer(options.at(frontend));
        server.assume(&action);
        context.plan.push(context.service, action);
    }
}

/// Plans one real server; whether there is still reason to keep its entry.
fn plan_real_server(
    frontend: Frontend,
    server: &Wanted,
    key: RealServerKey,
    real: &mut ServerEntry,
    context: &mut PlanContext<'_>,
) -> bool {
    match (real.wanted, real.known) {
        (Some(weight), known) => {
            let goal = KnownServer {
                weight: u32::from(weight),
                upper_threshold: server.max_connections,
                foreign_settings: false,
            };
            real.drain_until = None;
            if known == Some(goal) {
                return true;
            }
            let value = RealServer {
                weight: goal.weight,
                upper_threshold: goal.upper_threshold,
                ..RealServer::masqueraded(key)
            };
            let action = match known {
                None => Action::AddRealServer(frontend, value),
                Some(_) => Action::SetRealServer(frontend, value),
            };
            real.assume(&action);
            context.plan.push(context.service, action);
            true
        }
        (None, None) => false,
        (None, Some(known)) => {
            let drains = server.protocol == Protocol::Tcp
                && !server.drain.is_zero()
                && server.options.can_drain();
            match real.drain_until {
                Some(until) if drains && !until.is_over(context.now) => return true,
                None if drains => {
                    let until = Deadline::at(context.now.saturating_add(server.drain));
                    real.drain_until = Some(until);
                    let first = context.first_drain_end.map_or(until, |first| first.min(until));
                    *context.first_drain_end = Some(first);
                    if known.weight != 0 {
                        let value = RealServer {
                            weight: 0,
                            upper_threshold: known.upper_threshold,
                            ..RealServer::masqueraded(key)
                        };
                        let action = Action::DrainRealServer(frontend, value);
                        real.assume(&action);
                        context.plan.push(context.service, action);
                    }
                    return true;
                }
                _ => {}
            }
            let action = Action::DeleteRealServer(frontend, key);
            real.assume(&action);
            context.plan.push(context.service, action);
            false
        }
    }
}
