//! Virtual servers whose frontend is a firewall mark: whose they are, and how they leave.
//!
//! Such a virtual server is ours if the sets say so. Its record, an element of the set of our marks,
//! is there before it is made and goes after it. When nobody asks for it any more, the packets to its
//! frontends are given no mark first; then it keeps the connections that it has, like a real server
//! that drains; then it goes. Only then may its mark mean something else.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashSet;
use trimtab_core::{Family, Frontend, RealServerKey};

use super::Reconciler;
use crate::desired::{Inside, View};
use crate::execute::Report;
use crate::operation::{Action, Operation, ServiceId};
use crate::plan::Plan;
use crate::tables::{self, Deadline, ObjectKey, Step};
use crate::work::Leaving;

impl Reconciler {
    /// Notes whether a Service has views without marks. They are chosen when its turn comes: by then
    /// what the kernel has is known.
    pub(super) fn note_unmarked(&mut self, id: ServiceId, unmarked: bool) {
        if !unmarked && self.model.views.stop_waiting(id) {
            self.problems_changed(id);
        }
        let is_waiting = self.model.views.is_waiting(id);
        let Some(entry) = self.input.services.get_mut(id) else { return };
        entry.unmarked = unmarked && !is_waiting;
        if entry.unmarked {
            self.enqueue(id);
        }
    }

    /// Chooses marks for the views of a Service that have none.
    pub(super) fn choose_marks(&mut self, id: ServiceId) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if !std::mem::take(&mut entry.unmarked) {
            return;
        }
        let Some(entry) = self.input.services.get(id) else { return };
        let inside = &self.model.tables.inside;
        // The marks that the kernel has for the frontends of each view, and for how many of them.
        let mut found: BTreeMap<View, BTreeMap<u32, u32>> = BTreeMap::new();
        for spec in entry.specs.iter().filter(|it| it.inside == Inside::Unmarked) {
            let marks = found.entry(View::of(&entry.name, spec)).or_default();
            let is_held = self.holder(spec.frontend) == Some(id);
            if let Some(mark) = inside.known(&spec.frontend).filter(|_| is_held) {
                *marks.entry(mark).or_default() += 1;
            }
        }
        let mut is_short = false;
        for (view, marks) in found {
            // A mark that other frontends have, too, is not this view's alone.
            let family = view.family;
            let at = |mark| Frontend::Mark { mark, family };
            let mut own = marks.iter().filter(|(mark, uses)| inside.uses(&at(**mark)) == **uses);
            let own = own.next().map(|(mark, _)| *mark);
            let tables = &self.model.tables;
            is_short |= !self.model.views.choose(view, own, |mark| tables.has_mark(mark));
        }
        if is_short {
            self.model.views.wait(id);
            self.problems_changed(id);
        }
        self.derive(id);
    }

    /// A virtual server is no longer in the tables. Its mark is free, unless its Service still asks
    /// for the view and only waits for a frontend.
    pub(super) fn release_mark(&mut self, frontend: Frontend) {
        let Some(view) = self.model.views.view(&frontend) else { return };
        let entry =
            self.input.services.find(&view.service).and_then(|id| self.input.services.get(id));
        if entry.is_none_or(|entry| entry.spec(&frontend).is_none()) {
            self.model.views.release(frontend);
        }
    }

    /// A plan has been carried out: marks may be free that Services wait for.
    pub(super) fn give_free_marks(&mut self) {
        for id in self.model.views.confirm_released() {
            self.note_unmarked(id, true);
            self.problems_changed(id);
        }
    }

    /// Virtual servers that were to be made are there already, so somebody else made them. What got into
    /// them leaves, and other marks are taken.
    pub(super) fn give_up_marks(
        &mut self,
        foreign: &HashSet<Frontend>,
        plan: &Plan,
        report: &Report,
    ) {
        let added = |operation: &Operation| match &operation.action {
            Action::AddRealServer(to, server) => foreign.get(to).map(|to| (*to, server.key)),
            _ => None,
        };
        let refused: HashSet<(Frontend, RealServerKey)> =
            report.failed.iter().filter_map(|(operation, _)| added(operation)).collect();
        let strays = plan.operations().filter_map(added).filter(|stray| !refused.contains(stray));
        self.work.strays.extend(strays);
        let views = foreign.iter().filter_map(|mark| self.model.views.view(mark));
        let ids: HashSet<ServiceId> =
            views.filter_map(|view| self.input.services.find(&view.service)).collect();
        for mark in foreign {
            self.model.views.release(*mark);
            self.model.views.set_foreign(*mark, true, self.model.audit);
        }
        for id in ids {
            self.derive(id);
        }
    }

    /// Notes that a virtual server is in the tables, so that its record is wanted if it is a mark.
    pub(super) fn keep_record(&mut self, id: ServiceId, frontend: Frontend) {
        let Some(record) = tables::record_of(&frontend) else { return };
        let counted = self.model.tables.elements.count(record.0, record.1);
        if counted.wanted == 0 && counted.want() {
            self.touch(id, ObjectKey::Element(record.0, record.1));
        }
    }

    /// A virtual server is no longer in the tables: its record goes after it.
    pub(super) fn drop_record(&mut self, id: ServiceId, frontend: Frontend) {
        let Some((set, element)) = tables::record_of(&frontend) else { return };
        self.model.tables.elements.count(set, element).release();
        self.touch(id, ObjectKey::Element(set, element));
    }

    /// A virtual server that nobody asks for any more may keep its connections for so long.
    pub(super) fn let_linger(&mut self, frontend: Frontend, linger: Duration) {
        if matches!(frontend, Frontend::Mark { .. }) {
            self.work.leaving.insert(frontend, Leaving { linger, until: None });
        }
    }

    /// A virtual server could not be deleted, and nothing is waited for any more but that.
    pub(super) fn deletion_failed(&mut self, frontend: Frontend) {
        self.keep_record(ServiceId::NOBODY, frontend);
        self.let_linger(frontend, Duration::ZERO);
    }

    /// Whether an unwanted virtual server, whose frontend is a mark, has to stay for now: packets are
    /// given its mark, or it has its time for the connections that it has.
    pub(super) fn lingers(&mut self, frontend: Frontend, now: Duration) -> bool {
        if !matches!(frontend, Frontend::Mark { .. }) {
            return false;
        }
        // It is looked at again when the last packet has lost its mark.
        if self.model.tables.inside.is_used(&frontend) {
            return true;
        }
        let linger = self.settings.drain_timeout;
        let leaving = self.work.leaving.entry(frontend).or_insert(Leaving { linger, until: None });
        if let Some(until) = leaving.until {
            return !until.is_over(now);
        }
        if leaving.linger.is_zero() {
            return false;
        }
        let until = Deadline::at(now.saturating_add(leaving.linger));
        leaving.until = Some(until);
        self.work.note_drain_end(until);
        self.work.draining.insert(frontend);
        true
    }

    /// Takes note of the connections of a virtual server that lingers: without any, it goes.
    pub(super) fn observe_lingering(
        &mut self,
        frontend: Frontend,
        connections: impl IntoIterator<Item = (RealServerKey, u64)>,
        now: Duration,
    ) {
        let Some(leaving) = self.work.leaving.get_mut(&frontend) else { return };
        let Some(until) = leaving.until else { return };
        let idle = connections.into_iter().all(|(_, count)| count == 0);
        if idle || until.is_over(now) {
            leaving.until = Some(Deadline::OVER);
            self.work.draining.remove(&frontend);
            self.touch(ServiceId::NOBODY, ObjectKey::VirtualServer(frontend));
        }
    }

    /// When those that linger will have had their time.
    pub(super) fn lingering_ends(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.work.leaving.values().filter_map(|leaving| leaving.until)
    }

    /// Says which mark the packets of clients inside to a frontend should be given. With its first
    /// frontend a view is installed, and with the last one it goes.
    pub(super) fn want_inside_mark(
        &mut self,
        id: ServiceId,
        frontend: Frontend,
        mark: Option<u32>,
    ) {
        let before = self.model.tables.inside.wanted(&frontend);
        self.model.tables.inside.want(frontend, mark);
        if self.model.tables.inside.step(&frontend).is_some() {
            self.touch(id, ObjectKey::InsideMark(frontend));
        }
        if before == mark {
            return;
        }
        let family = frontend.family();
        let at = |mark| Frontend::Mark { mark, family };
        if let Some(view) = mark.map(at)
            && self.model.tables.virtual_servers.get(&view).is_none_or(|it| it.wanted.is_none())
        {
            self.install(id, view);
        }
        if let Some(view) = before.map(at)
            && !self.model.tables.inside.is_wanted(&view)
        {
            self.uninstall_view(view);
        }
    }

    /// The view of a Service that is there keeps its connections for the time that the Service gives
    /// them; with a Service that is gone they end, as all others of it do.
    fn uninstall_view(&mut self, frontend: Frontend) {
        let view = self.model.views.view(&frontend);
        let id = view.and_then(|view| self.input.services.find(&view.service));
        let id = id.unwrap_or(ServiceId::NOBODY);
        let asks = self.input.services.get(id).is_some_and(|it| it.specs.iter().next().is_some());
        let linger = if asks { self.drain_timeout(id) } else { Duration::ZERO };
        self.let_linger(frontend, linger);
        self.uninstall(id, frontend);
    }

    pub(super) fn plan_inside_mark(&mut self, id: ServiceId, frontend: Frontend, plan: &mut Plan) {
        let Some(step) = self.model.tables.inside.step(&frontend) else { return };
        // Noted by somebody else: it belongs among what is done for the Service that has the frontend.
        if let Some(holder) = self.holder(frontend).filter(|holder| *holder != id) {
            return self.touch(holder, ObjectKey::InsideMark(frontend));
        }
        let excluded = frontend.address().is_some_and(|a| self.settings.is_excluded(a));
        let (Step::Set(mark) | Step::Clear(mark)) = step;
        let Some((set, element)) = tables::element(&frontend, mark) else { return };
        let before = self.model.tables.inside.known(&frontend);
        let action = match step {
            Step::Set(_) => Action::AddElement(set, element),
            Step::Clear(_) if excluded => return,
            Step::Clear(_) => Action::DeleteElement(set, element),
        };
        self.model.tables.inside.assume(frontend, &action);
        self.model.note_changed(ObjectKey::InsideMark(frontend));
        plan.push(id, action);
        let lost = before.map(|mark| Frontend::Mark { mark, family: frontend.family() });
        if let Some(lost) = lost.filter(|lost| !self.model.tables.inside.is_used(lost)) {
            self.model.views.note_leaving(lost);
        }
        self.mark_lost(id, frontend.family(), before);
    }

    /// Takes note of the mark that the kernel gives packets to a frontend; whether that is news.
    pub(super) fn observe_inside_mark(&mut self, frontend: Frontend, mark: Option<u32>) -> bool {
        let before = self.model.tables.inside.known(&frontend);
        if !self.model.tables.inside.observe(frontend, mark) {
            return false;
        }
        self.touch(ServiceId::NOBODY, ObjectKey::InsideMark(frontend));
        self.mark_lost(ServiceId::NOBODY, frontend.family(), before);
        true
    }

    /// Packets are no longer given a mark. If they were the last ones, what is behind it may go, unless
    /// somebody asks for it.
    fn mark_lost(&mut self, id: ServiceId, family: Family, mark: Option<u32>) {
        if let Some(lost) = mark.map(|mark| Frontend::Mark { mark, family })
            && !self.model.tables.inside.is_used(&lost)
            && let Some(server) = self.model.tables.virtual_servers.get(&lost)
            && server.wanted.is_none()
        {
            self.touch(id, ObjectKey::VirtualServer(lost));
        }
    }
}
