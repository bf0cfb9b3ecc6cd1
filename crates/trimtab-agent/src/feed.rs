//! Changes of objects, as the reconciler takes them: the same for the daemon and for the commands
//! that work out what the kernel should hold.

use trimtab_config::Config;
use trimtab_kube::Change;
use trimtab_reconcile::Reconciler;

/// Hands one change to the reconciler. An object that cannot be used counts as deleted. The ends of
/// lists are the caller's: what was not on a complete list has to be deleted by it.
pub fn feed(reconciler: &mut Reconciler, config: &Config, change: Change) {
    match change {
        Change::Service(decoded) => match decoded.value {
            Some(service) => reconciler.apply_service(service),
            None => reconciler.delete_service(&decoded.name),
        },
        Change::ServiceGone(name) => reconciler.delete_service(&name),
        Change::Slice(decoded, _) => match decoded.value {
            Some(slice) => reconciler.apply_slice(&slice),
            None => reconciler.delete_slice(&decoded.name),
        },
        Change::SliceGone(name) => reconciler.delete_slice(&name),
        Change::Node(Some(state)) => reconciler.apply_node(config.corrected(&state.facts)),
        Change::NodeWeight(decoded) if config.node_weights => {
            reconciler.set_node_weight(decoded.name.name(), decoded.value);
        }
        Change::NodeWeightGone(name) => reconciler.set_node_weight(name.name(), None),
        // Without its Node object, this node still exists.
        Change::Node(None) | Change::NodeWeight(_) | Change::Begin(_) | Change::End(_) => {}
    }
}
