//! Which firewall mark which view has.
//!
//! A mark has one meaning at a time: it is chosen for a view when nobody else's virtual server, record
//! or packet has it, and it is free again when the kernel is known to have none of these. The first
//! choice follows from the view's name, so that a Service usually has the same mark on every node and
//! gets it again.

use hashbrown::{HashMap, HashSet};
use trimtab_core::{Frontend, MarkRange, StableHash};

use crate::desired::View;
use crate::operation::ServiceId;

/// Which firewall mark which view has.
#[derive(Debug)]
pub(crate) struct Views {
    range: Option<MarkRange>,
    marks: HashMap<View, u32>,
    meanings: HashMap<Frontend, View>,
    /// Marks of virtual servers that somebody else made, each with the last audit that saw it.
    foreign: HashMap<Frontend, u32>,
    /// Marks that are free if the plan that is being carried out succeeds.
    leaving: HashSet<Frontend>,
    /// Services that found no mark free.
    waiting: HashSet<ServiceId>,
}

impl Views {
    pub(crate) fn new(range: Option<MarkRange>) -> Self {
        Self {
            range,
            marks: HashMap::new(),
            meanings: HashMap::new(),
            foreign: HashMap::new(),
            leaving: HashSet::new(),
            waiting: HashSet::new(),
        }
    }

    /// The mark of a view, if one was chosen.
    pub(crate) fn mark(&self, view: &View) -> Option<u32> {
        self.marks.get(view).copied()
    }

    /// The view that a mark was chosen for.
    pub(crate) fn view(&self, mark: &Frontend) -> Option<&View> {
        self.meanings.get(mark)
    }

    /// Chooses a mark for a view that has none: `found` in the kernel if that can be, else one that is
    /// not `is_taken`. Whether there was one.
    pub(crate) fn choose(
        &mut self,
        view: View,
        found: Option<u32>,
        is_taken: impl Fn(&Frontend) -> bool,
    ) -> bool {
        let Some(range) = self.range else { return false };
        let family = view.family;
        let at = |mark| Frontend::Mark { mark, family };
        let may_have = |mark: &u32| !self.is_reserved(&at(*mark));
        let found = found.filter(|mark| range.contains(*mark)).filter(may_have);
        let start = preference(&view);
        let free = || {
            (0..range.count())
                .map(|step| range.nth(start.wrapping_add(step)))
                .find(|mark| may_have(mark) && !is_taken(&at(*mark)))
        };
        let Some(mark) = found.or_else(free) else { return false };
        self.meanings.insert(at(mark), view.clone());
        self.marks.insert(view, mark);
        true
    }

    fn is_reserved(&self, mark: &Frontend) -> bool {
        self.meanings.contains_key(mark)
            || self.foreign.contains_key(mark)
            || self.leaving.contains(mark)
    }

    /// A view needs its mark no more. It is free when the plan that ends it has been carried out.
    pub(crate) fn release(&mut self, mark: Frontend) {
        if let Some(view) = self.meanings.remove(&mark) {
            self.marks.remove(&view);
        }
        self.leaving.insert(mark);
    }

    /// The last thing of ours that has a mark is to be deleted by the plan that is being made.
    pub(crate) fn note_leaving(&mut self, mark: Frontend) {
        self.leaving.insert(mark);
    }

    /// A plan has been carried out, or not; the Services that may find a mark now.
    pub(crate) fn confirm_released(&mut self) -> HashSet<ServiceId> {
        if self.leaving.is_empty() {
            return HashSet::new();
        }
        self.leaving.clear();
        std::mem::take(&mut self.waiting)
    }

    /// Notes that a Service found no mark.
    pub(crate) fn wait(&mut self, id: ServiceId) {
        self.waiting.insert(id);
    }

    /// Notes that a Service found all its marks, or needs none any more.
    pub(crate) fn stop_waiting(&mut self, id: ServiceId) -> bool {
        self.waiting.remove(&id)
    }

    pub(crate) fn is_waiting(&self, id: ServiceId) -> bool {
        self.waiting.contains(&id)
    }

    /// Whether somebody else has a virtual server with this frontend.
    pub(crate) fn is_foreign(&self, mark: &Frontend) -> bool {
        self.foreign.contains_key(mark)
    }

    /// Somebody else has a virtual server with this frontend, or none any more.
    pub(crate) fn set_foreign(&mut self, frontend: Frontend, is_there: bool, audit: u32) {
        if !matches!(frontend, Frontend::Mark { .. }) {
            return;
        }
        if is_there {
            self.foreign.insert(frontend, audit);
        } else {
            self.foreign.remove(&frontend);
        }
    }

    /// An audit saw all virtual servers.
    pub(crate) fn end_audit(&mut self, audit: u32) {
        self.foreign.retain(|_, seen| *seen == audit);
    }
}

/// Where among the marks a view's place is looked for first; the same for both families.
fn preference(view: &View) -> u32 {
    StableHash::new()
        .take(view.service.as_str().as_bytes())
        .take(view.port.as_bytes())
        .take(&[view.protocol.number()])
        .finish_u32()
}
