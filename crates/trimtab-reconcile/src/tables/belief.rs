//! What is believed of the kernel while a plan is carried out.
//!
//! A planned action is believed to be done from then on: `assume`. If it fails, `revert` takes the
//! belief back. Every object that actions are about has both, side by side, here and in
//! [`InsideMarks`](super::InsideMarks).

use trimtab_core::{Frontend, RealServer};

use super::{
    Counted, KnownServer, KnownVirtualServer, ServerEntry, Tables, VirtualServerEntry, frontend_of,
};
use crate::operation::Action;

impl Counted {
    pub(crate) const fn assume(&mut self, action: &Action) {
        self.present = is_addition(action);
    }

    pub(crate) const fn revert(&mut self, action: &Action) {
        self.present = !is_addition(action);
    }
}

/// Whether an action is there to have an element or an address, and not to be rid of it.
const fn is_addition(action: &Action) -> bool {
    matches!(action, Action::AddElement(..) | Action::AddAddress(_))
}

impl VirtualServerEntry {
    /// A new virtual server has no real servers; one that is deleted takes its own along.
    pub(crate) fn assume(&mut self, action: &Action) {
        match action {
            Action::AddVirtualServer(server) => {
                self.known = Some(KnownVirtualServer::of(server));
                for real in self.servers.values_mut() {
                    real.known = None;
                    real.drain_until = None;
                }
            }
            Action::SetVirtualServer(server) => self.known = Some(KnownVirtualServer::of(server)),
            Action::DeleteVirtualServer(_) => self.known = None,
            _ => {}
        }
    }

    /// How one is that could not be changed is read again before anything else is done about it. One
    /// that could not be deleted is still ours, though the sets may not say so any more.
    pub(crate) fn revert(&mut self, action: &Action) {
        match action {
            Action::AddVirtualServer(_) => {
                self.known = None;
                self.replan = true;
                for real in self.servers.values_mut() {
                    real.known = None;
                }
            }
            Action::DeleteVirtualServer(_) => {
                self.known.get_or_insert(KnownVirtualServer::UNREAD);
            }
            _ => {}
        }
    }
}

impl ServerEntry {
    pub(crate) fn assume(&mut self, action: &Action) {
        match real_server(action) {
            Some((_, server)) => self.known = Some(KnownServer::of(server)),
            None => self.known = None,
        }
    }

    /// As with virtual servers, what could not be changed or deleted is read again.
    pub(crate) const fn revert(&mut self, action: &Action) {
        if matches!(action, Action::AddRealServer(..)) {
            self.known = None;
        }
    }
}

/// The real server that an action leaves in the kernel.
const fn real_server(action: &Action) -> Option<(Frontend, &RealServer)> {
    match action {
        Action::AddRealServer(frontend, server)
        | Action::SetRealServer(frontend, server)
        | Action::DrainRealServer(frontend, server) => Some((*frontend, server)),
        _ => None,
    }
}

impl Tables {
    /// Takes the belief back that an action was done.
    pub(crate) fn revert(&mut self, action: &Action) {
        match action {
            Action::AddElement(set, element) | Action::DeleteElement(set, element)
                if set.kind.has_marks() =>
            {
                if let Some(frontend) = frontend_of(element) {
                    self.inside.revert(frontend, action);
                }
            }
            Action::AddElement(set, element) | Action::DeleteElement(set, element) => {
                self.elements.count(*set, *element).revert(action);
            }
            Action::AddAddress(address) | Action::DeleteAddress(address) => {
                self.addresses.entry(*address).or_default().revert(action);
            }
            Action::DeleteVirtualServer(frontend) => {
                self.virtual_servers.entry(*frontend).or_default().revert(action);
            }
            Action::AddVirtualServer(server) | Action::SetVirtualServer(server) => {
                if let Some(entry) = self.virtual_servers.get_mut(&server.frontend) {
                    entry.revert(action);
                }
            }
            Action::AddRealServer(..)
            | Action::SetRealServer(..)
            | Action::DrainRealServer(..)
            | Action::DeleteRealServer(..) => {
                if let Some((frontend, server)) = real_server(action)
                    && let Some(entry) = self.virtual_servers.get_mut(&frontend)
                    && let Some(real) = entry.servers.get_mut(&server.key)
                {
                    real.revert(action);
                }
            }
        }
    }
}
