//! The objects as they arrived, in slim types.

use hashbrown::HashMap;
use trimtab_core::objects::{LocalAddress, NodeObject, ObjectName};

use crate::desired::NodeView;
use crate::hints::HintTable;
use crate::nodes::Nodes;
use crate::services::{Services, StoredSlice};
use crate::settings::Settings;
use crate::symbol::Symbols;

/// The objects as they arrived.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) services: Services,
    pub(crate) slices: HashMap<ObjectName, StoredSlice>,
    /// The names of the nodes that endpoints are on.
    pub(crate) symbols: Symbols,
    pub(crate) hints: HintTable,
    /// Where nodes have weights.
    pub(crate) nodes: Option<Nodes>,
    pub(crate) local_addresses: Vec<LocalAddress>,
    pub(crate) node_object: NodeObject,
    /// What Services depend on of these two.
    pub(crate) node: NodeView,
}

impl Input {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            services: Services::default(),
            slices: HashMap::new(),
            symbols: Symbols::default(),
            hints: HintTable::new(&settings.node_name),
            nodes: settings.node_weights.then(Nodes::default),
            local_addresses: Vec::new(),
            node_object: NodeObject::default(),
            node: NodeView::new(&[], &[], &settings.node_port_addresses),
        }
    }
}
