//! What the kernel should hold and what it is known to hold, and whose that is.

use std::net::IpAddr;

use hashbrown::HashSet;
use trimtab_core::{Frontend, SetElement, SetId};

use crate::operation::Action;
use crate::settings::Settings;
use crate::tables::{ObjectKey, Tables, mark_of_record};
use crate::views::Views;

/// What the kernel should hold and what it is known to hold.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) tables: Tables,
    /// Which firewall mark which view has.
    pub(crate) views: Views,
    /// Every address that the node has or had, which says which virtual servers of node ports are
    /// ours.
    pub(crate) own_addresses: HashSet<IpAddr>,
    /// The number of the last audit that began.
    pub(crate) audit: u32,
    /// The set elements and addresses that were changed since an audit began to read those.
    changed_since_read: Option<HashSet<ObjectKey>>,
}

impl Model {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            tables: Tables::default(),
            views: Views::new(settings.marks),
            own_addresses: HashSet::new(),
            audit: 0,
            changed_since_read: None,
        }
    }

    /// Whether the sets in the kernel say that a virtual server is ours.
    pub(crate) fn is_ours(&self, frontend: &Frontend) -> bool {
        self.tables.ledger_has(frontend, |address| self.own_addresses.contains(&address))
    }

    /// What is to be done about an element, which is then believed to be done.
    pub(crate) fn change_element(&mut self, set: SetId, element: SetElement) -> Option<Action> {
        let elements = self.tables.elements.of_mut(set);
        let counted = elements.get_mut(&element)?;
        let action = counted.differs().then_some(match counted.wanted {
            0 => Action::DeleteElement(set, element),
            _ => Action::AddElement(set, element),
        });
        if let Some(action) = &action {
            counted.assume(action);
        }
        if counted.is_idle() {
            elements.remove(&element);
        }
        if let Some(Action::DeleteElement(..)) = action
            && let Some(mark) = mark_of_record(set, &element)
        {
            self.views.note_leaving(mark);
        }
        action.inspect(|_| self.note_changed(ObjectKey::Element(set, element)))
    }

    /// What is to be done about a VIP, which is then believed to be done.
    pub(crate) fn change_address(&mut self, address: IpAddr) -> Option<Action> {
        let counted = self.tables.addresses.get_mut(&address)?;
        let action = counted.differs().then_some(match counted.wanted {
            0 => Action::DeleteAddress(address),
            _ => Action::AddAddress(address),
        });
        if let Some(action) = &action {
            counted.assume(action);
        }
        if counted.is_idle() {
            self.tables.addresses.remove(&address);
        }
        action.inspect(|_| self.note_changed(ObjectKey::Address(address)))
    }

    /// A new audit begins to read sets and addresses.
    pub(crate) fn begin_audit(&mut self) {
        self.audit = self.audit.wrapping_add(1);
        self.changed_since_read = Some(HashSet::new());
    }

    /// The audit has read sets and addresses.
    pub(crate) fn end_reading(&mut self) {
        self.changed_since_read = None;
    }

    /// What marks an element or an address as seen by this audit.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only the last audit is told from this one"
    )]
    pub(crate) fn audit_mark(&self) -> u16 {
        self.audit as u16
    }

    /// Notes that an element or an address is changed.
    pub(crate) fn note_changed(&mut self, object: ObjectKey) {
        self.changed_since_read.as_mut().map(|changed| changed.insert(object));
    }

    /// Whether what an audit saw of an element or an address may be from before a change.
    pub(crate) fn is_changed_since_read(&self, object: &ObjectKey) -> bool {
        self.changed_since_read.as_ref().is_some_and(|changed| changed.contains(object))
    }
}
