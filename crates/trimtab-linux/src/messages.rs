//! Operations as netlink messages: the part of applying them that needs no kernel.

use trimtab_host::ipset::Change;
use trimtab_ipvs::Batch;
use trimtab_reconcile::Action;

/// Appends the message for a change of a virtual or real server; returns its index.
///
/// # Panics
/// If the action concerns an element or an address, which are not IPVS objects.
pub fn push_server_change(batch: &mut Batch, action: &Action) -> usize {
    match action {
        Action::AddVirtualServer(server) => batch.add_virtual_server(server),
        Action::SetVirtualServer(server) => batch.set_virtual_server(server),
        Action::DeleteVirtualServer(frontend) => batch.delete_virtual_server(frontend),
        Action::AddRealServer(frontend, server) => batch.add_real_server(frontend, server),
        Action::SetRealServer(frontend, server) | Action::DrainRealServer(frontend, server) => {
            batch.set_real_server(frontend, server)
        }
        Action::DeleteRealServer(frontend, key) => batch.delete_real_server(frontend, key),
        Action::AddElement(..)
        | Action::DeleteElement(..)
        | Action::AddAddress(_)
        | Action::DeleteAddress(_) => unreachable!("{action} is of another phase"),
    }
}

/// The changes of ipsets among `actions`, each with its position there. They are sorted by set,
/// because neighbouring changes of one set share a message; within a phase the order does not
/// matter.
pub fn element_changes(actions: &[&Action]) -> (Vec<usize>, Vec<Change<'static>>) {
    let mut changes: Vec<(usize, Change<'static>)> = Vec::with_capacity(actions.len());
    for (position, action) in actions.iter().enumerate() {
        match action {
            Action::AddElement(set, element) => {
                changes.push((position, Change::add(set.name(), *element)));
            }
            Action::DeleteElement(set, element) => {
                changes.push((position, Change::delete(set.name(), *element)));
            }
            _ => {}
        }
    }
    changes.sort_by_key(|(_, change)| change.set);
    changes.into_iter().unzip()
}
