//! Virtual servers whose frontend is a firewall mark: whose they are, and how they leave.
//!
//! Such a virtual server is ours if the sets say so. Its record, an element of the set of our marks,
//! is there before it is made and goes after it. When nobody asks for it any more, the packets to its
//! frontends are given no mark first; then it keeps the connections that it has, like a real server
//! that drains; then it goes. Only then may its mark mean something else.

use std::time::Duration;

use trimtab_core::{Family, Frontend, RealServerKey};

use super::Reconciler;
use crate::operation::{Action, Owner};
use crate::plan::Plan;
use crate::tables::{self, Deadline, Item, Step};

/// A virtual server on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// How long it may keep its connections.
    linger: Duration,
    /// Until when, once no packet is given its mark any more.
    until: Option<Deadline>,
}

impl Reconciler {
    /// Notes that a virtual server is in the tables, so that its record is wanted if it is a mark.
    pub(super) fn keep_record(&mut self, owner: Owner, frontend: Frontend) {
        let Some(record) = tables::record_of(&frontend) else { return };
        let counted = self.tables.elements.count(record.0, record.1);
        if counted.wanted == 0 && counted.want() {
            self.touch(owner, Item::Element(record.0, record.1));
        }
    }

    /// A virtual server is no longer in the tables: its record goes after it.
    pub(super) fn plan_record(
        &mut self,
        owner: Owner,
        frontend: Frontend,
        now: Duration,
        plan: &mut Plan,
    ) {
        let Some((set, element)) = tables::record_of(&frontend) else { return };
        self.tables.elements.count(set, element).release();
        if !self.retries.holds(&Item::Element(set, element), now) {
            self.plan_item(owner, Item::Element(set, element), now, plan);
        }
    }

    /// A virtual server that nobody asks for any more may keep its connections for so long.
    pub(super) fn let_linger(&mut self, frontend: Frontend, linger: Duration) {
        if matches!(frontend, Frontend::Mark { .. }) {
            self.leaving.insert(frontend, Leaving { linger, until: None });
        }
    }

    /// A virtual server could not be deleted, and nothing is waited for any more but that.
    pub(super) fn deletion_failed(&mut self, frontend: Frontend) {
        self.keep_record(Owner::NOBODY, frontend);
        self.let_linger(frontend, Duration::ZERO);
    }

    /// Whether an unwanted virtual server, whose frontend is a mark, has to stay for now: packets are
    /// given its mark, or it has its time for the connections that it has.
    pub(super) fn lingers(&mut self, frontend: Frontend, now: Duration) -> bool {
        if !matches!(frontend, Frontend::Mark { .. }) {
            return false;
        }
        // It is looked at again when the last packet has lost its mark.
        if self.tables.inside.is_used(&frontend) {
            return true;
        }
        let linger = self.settings.drain_timeout;
        let leaving = self.leaving.entry(frontend).or_insert(Leaving { linger, until: None });
        if let Some(until) = leaving.until {
            return !until.is_over(now);
        }
        if leaving.linger.is_zero() {
            return false;
        }
        let until = Deadline::at(now.saturating_add(leaving.linger));
        leaving.until = Some(until);
        self.first_drain_end = Some(self.first_drain_end.map_or(until, |first| first.min(until)));
        self.draining.insert(frontend);
        true
    }

    /// Takes note of the connections of a virtual server that lingers: without any, it goes.
    pub(super) fn observe_lingering(
        &mut self,
        frontend: Frontend,
        connections: impl IntoIterator<Item = (RealServerKey, u64)>,
        now: Duration,
    ) {
        let Some(leaving) = self.leaving.get_mut(&frontend) else { return };
        let Some(until) = leaving.until else { return };
        let idle = connections.into_iter().all(|(_, count)| count == 0);
        if idle || until.is_over(now) {
            leaving.until = Some(Deadline::OVER);
            self.draining.remove(&frontend);
            self.touch(Owner::NOBODY, Item::VirtualServer(frontend));
        }
    }

    /// When those that linger will have had their time.
    pub(super) fn lingering_ends(&self) -> impl Iterator<Item = Deadline> + '_ {
        self.leaving.values().filter_map(|leaving| leaving.until)
    }

    pub(super) fn plan_inside_mark(&mut self, owner: Owner, frontend: Frontend, plan: &mut Plan) {
        let Some(step) = self.tables.inside.due(&frontend) else { return };
        let excluded = frontend.address().is_some_and(|a| self.settings.is_excluded(a));
        let (Step::Set(mark) | Step::Clear(mark)) = step;
        let Some((set, element)) = tables::element(&frontend, mark) else { return };
        let before = self.tables.inside.known(&frontend);
        let action = match step {
            Step::Set(_) => Action::AddElement(set, element),
            Step::Clear(_) if excluded => return,
            Step::Clear(_) => Action::DeleteElement(set, element),
        };
        self.tables.inside.assume(frontend, step);
        self.changed_since_read.as_mut().map(|changed| changed.insert(Item::InsideMark(frontend)));
        plan.push(owner, action);
        self.mark_lost(owner, frontend.family(), before);
    }

    /// Takes note of the mark that the kernel gives packets to a frontend; whether that is news.
    pub(super) fn observe_inside_mark(&mut self, frontend: Frontend, mark: Option<u32>) -> bool {
        let before = self.tables.inside.known(&frontend);
        if !self.tables.inside.observe(frontend, mark) {
            return false;
        }
        self.touch(Owner::NOBODY, Item::InsideMark(frontend));
        self.mark_lost(Owner::NOBODY, frontend.family(), before);
        true
    }

    /// Packets are no longer given a mark. If they were the last ones, what is behind it may go, unless
    /// somebody asks for it.
    fn mark_lost(&mut self, owner: Owner, family: Family, mark: Option<u32>) {
        if let Some(lost) = mark.map(|mark| Frontend::Mark { mark, family })
            && !self.tables.inside.is_used(&lost)
            && let Some(server) = self.tables.virtual_servers.get(&lost)
            && server.wanted.is_none()
        {
            self.touch(owner, Item::VirtualServer(lost));
        }
    }
}
