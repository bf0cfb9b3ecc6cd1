//! Which mark the packets of clients inside the cluster are given, by frontend: wanted and known.

use hashbrown::HashMap;
use trimtab_core::{Frontend, SetElement, SetId, SetKind};

use crate::operation::Action;

/// The elements of the two sets [`SetKind::Inside`], by frontend.
#[derive(Debug, Default)]
pub(crate) struct InsideMarks {
    entries: HashMap<Frontend, Entry>,
    /// How many frontends the kernel has with each mark.
    uses: Uses,
    /// How many frontends should have each mark.
    wanted_uses: Uses,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    wanted: Option<u32>,
    known: Option<u32>,
    /// What was known before the operation that was planned last.
    before: Option<u32>,
    /// The last audit that saw it, modulo 2^16.
    seen: u16,
}

/// A count for each mark.
#[derive(Debug, Default)]
struct Uses(HashMap<Frontend, u32>);

impl Uses {
    fn of(&self, mark: &Frontend) -> u32 {
        self.0.get(mark).copied().unwrap_or(0)
    }

    /// A frontend has another mark than before.
    fn change(&mut self, frontend: Frontend, before: Option<u32>, after: Option<u32>) {
        if before == after {
            return;
        }
        let family = frontend.family();
        if let Some(mark) = after {
            *self.0.entry(Frontend::Mark { mark, family }).or_default() += 1;
        }
        if let Some(mark) = before {
            let mark = Frontend::Mark { mark, family };
            if let Some(count) = self.0.get_mut(&mark) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&mark);
                }
            }
        }
    }
}

/// What is to be done about one frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its packets are to be given this mark.
    Set(u32),
    /// Its packets are to be given no mark any more; they had this one.
    Clear(u32),
}

impl InsideMarks {
    /// Says which mark a frontend should have.
    pub(crate) fn want(&mut self, frontend: Frontend, mark: Option<u32>) {
        if mark.is_none() && !self.entries.contains_key(&frontend) {
            return;
        }
        let entry = self.entries.entry(frontend).or_default();
        let before = std::mem::replace(&mut entry.wanted, mark);
        self.wanted_uses.change(frontend, before, mark);
        self.tidy(frontend);
    }

    /// The mark that a frontend should have.
    pub(crate) fn wanted(&self, frontend: &Frontend) -> Option<u32> {
        self.entries.get(frontend)?.wanted
    }

    /// Whether any frontend should have this mark: the frontend is a mark.
    pub(crate) fn is_wanted(&self, mark: &Frontend) -> bool {
        self.wanted_uses.of(mark) > 0
    }

    /// The mark that the kernel has for a frontend.
    pub(crate) fn known(&self, frontend: &Frontend) -> Option<u32> {
        self.entries.get(frontend)?.known
    }

    /// What is to be done about a frontend.
    pub(crate) fn step(&self, frontend: &Frontend) -> Option<Step> {
        let entry = self.entries.get(frontend)?;
        match (entry.wanted, entry.known) {
            (Some(wanted), known) if known != Some(wanted) => Some(Step::Set(wanted)),
            (None, Some(known)) => Some(Step::Clear(known)),
            _ => None,
        }
    }

    /// Whether the kernel gives this mark to any packet: the frontend is a mark.
    pub(crate) fn is_used(&self, mark: &Frontend) -> bool {
        self.uses(mark) > 0
    }

    /// To how many frontends' packets the kernel gives this mark.
    pub(crate) fn uses(&self, mark: &Frontend) -> u32 {
        self.uses.of(mark)
    }

    /// Believes an action to be done.
    pub(crate) fn assume(&mut self, frontend: Frontend, action: &Action) {
        let Some(entry) = self.entries.get_mut(&frontend) else { return };
        let before = entry.known;
        entry.before = before;
        entry.known = match action {
            Action::AddElement(_, element) => mark_of(element),
            _ => None,
        };
        let after = entry.known;
        self.uses.change(frontend, before, after);
        self.tidy(frontend);
    }

    /// Takes that belief back.
    pub(crate) fn revert(&mut self, frontend: Frontend, action: &Action) {
        let entry = self.entries.entry(frontend).or_default();
        let believed = entry.known;
        entry.known = match action {
            // Where the mark was to go, so did the entry, and with it what it had before.
            Action::DeleteElement(_, element) => mark_of(element),
            _ => entry.before,
        };
        let known = entry.known;
        self.uses.change(frontend, believed, known);
        self.tidy(frontend);
    }

    /// Takes note of what the kernel has; whether it was known otherwise.
    pub(crate) fn observe(&mut self, frontend: Frontend, mark: Option<u32>) -> bool {
        let entry = self.entries.entry(frontend).or_default();
        let known = std::mem::replace(&mut entry.known, mark);
        self.uses.change(frontend, known, mark);
        self.tidy(frontend);
        known != mark
    }

    /// Notes that an audit saw a frontend.
    pub(crate) fn saw(&mut self, frontend: Frontend, audit: u16) {
        if let Some(entry) = self.entries.get_mut(&frontend) {
            entry.seen = audit;
        }
    }

    /// What the kernel should have in one set and an audit did not see.
    pub(crate) fn unseen(&self, set: SetId, audit: u16) -> impl Iterator<Item = Frontend> + '_ {
        let of_set = move |frontend: &Frontend| frontend.family() == set.family;
        let unseen = move |entry: &Entry| entry.known.is_some() && entry.seen != audit;
        let entries =
            self.entries.iter().filter(move |(frontend, e)| of_set(frontend) && unseen(e));
        entries.map(|(frontend, _)| *frontend)
    }

    /// The frontends that the kernel is known to have in one set.
    pub(crate) fn known_in(&self, set: SetId) -> impl Iterator<Item = Frontend> + '_ {
        let entries = self.entries.iter().filter(|(_, entry)| entry.known.is_some());
        let frontends = entries.map(|(frontend, _)| *frontend);
        frontends.filter(move |frontend| frontend.family() == set.family)
    }

    fn tidy(&mut self, frontend: Frontend) {
        let idle = |entry: &Entry| entry.wanted.is_none() && entry.known.is_none();
        if self.entries.get(&frontend).is_some_and(idle) {
            self.entries.remove(&frontend);
        }
    }
}

/// The set and the element that give the packets to `frontend` a mark; none if it is a mark itself.
pub(crate) fn element(frontend: &Frontend, mark: u32) -> Option<(SetId, SetElement)> {
    let Frontend::Address { protocol, address, port } = *frontend else { return None };
    let set = SetId::new(SetKind::Inside, frontend.family());
    Some((set, SetElement::IpPortMark(address, protocol, port, mark)))
}

/// The frontend whose packets an element gives a mark.
pub(crate) fn frontend_of(element: &SetElement) -> Option<Frontend> {
    match *element {
        SetElement::IpPortMark(address, protocol, port, _)
        | SetElement::IpPort(address, protocol, port) => {
            Some(Frontend::new(protocol, address, port))
        }
        _ => None,
    }
}

/// The mark of an element; one of another program may have none.
pub(crate) fn mark_of(element: &SetElement) -> Option<u32> {
    match element {
        SetElement::IpPortMark(.., mark) => Some(*mark),
        SetElement::IpPort(..) => Some(0),
        _ => None,
    }
}
