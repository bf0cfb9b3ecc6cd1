//! The node: its name, its addresses as the configuration corrects them.

use trimtab_core::Family;
use trimtab_core::objects::NodeObject;

use crate::config::Config;
use crate::objects::NodeState;

/// What decisions depend on: the Node object, with `bindAddress` before its own addresses.
pub fn facts(state: &NodeState, config: &Config) -> NodeObject {
    let mut facts = state.facts.clone();
    if let Some(address) = config.bind_address {
        facts.addresses.retain(|other| Family::of(*other) != Family::of(address));
        facts.addresses.insert(0, address);
    }
    facts
}

/// This host's name, as the system has it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
