//! `trimtab diff`: compares what the kernel should hold with what it holds.

use std::time::Duration;

use hashbrown::HashSet;
use trimtab_config::Config;
use trimtab_core::Frontend;
use trimtab_core::objects::{LocalAddress, NodeObject};
use trimtab_kube::manifest::Manifest;
use trimtab_kube::{Change, Kind};
use trimtab_reconcile::ports::{Observer, PortError, adopt};
use trimtab_reconcile::{Reconciler, Report, Settings};

/// The differences of a kernel from the wanted state.
#[derive(Debug, Default)]
pub struct Difference {
    /// The operations that would produce the wanted state, as text, in order.
    pub operations: Vec<String>,
    /// Virtual servers of other programs.
    pub foreign: Vec<Frontend>,
}

/// The objects from which the wanted state follows.
#[derive(Debug)]
pub struct Wanted {
    reconciler: Reconciler,
    node: NodeObject,
}

impl Wanted {
    /// Empty, for a node with these addresses.
    pub fn new(settings: Settings, local: Vec<LocalAddress>) -> Self {
        let mut reconciler = Reconciler::new(settings);
        reconciler.set_local_addresses(local);
        Self { reconciler, node: NodeObject::default() }
    }

    /// The objects of manifests.
    pub fn take_manifest(&mut self, manifest: &Manifest, config: &Config) {
        for (_, slice) in &manifest.slices {
            if let Some(slice) = &slice.decoded.value {
                self.reconciler.apply_slice(slice);
            }
        }
        for (_, service) in &manifest.services {
            if let Some(service) = &service.decoded.value {
                self.reconciler.apply_service(service.clone());
            }
        }
        for (name, node) in &manifest.nodes {
            if *name == config.node_name
                && let Some(state) = &node.decoded.value
            {
                self.set_node(config.corrected(&state.facts));
            }
            if config.node_weights {
                self.reconciler.set_node_weight(name, node.weight.value);
            }
        }
    }

    /// A change from the API server; the kind whose list it completes, if it does.
    pub fn take_change(&mut self, change: Change, config: &Config) -> Option<Kind> {
        match change {
            Change::End(kind) => return Some(kind),
            Change::Service(decoded) => match decoded.value {
                Some(service) => self.reconciler.apply_service(service),
                None => self.reconciler.delete_service(&decoded.name),
            },
            Change::Slice(decoded, _) => match &decoded.value {
                Some(slice) => self.reconciler.apply_slice(slice),
                None => self.reconciler.delete_slice(&decoded.name),
            },
            Change::Node(Some(state)) => self.set_node(config.corrected(&state.facts)),
            Change::NodeWeight(decoded) => {
                self.reconciler.set_node_weight(decoded.name.name(), decoded.value);
            }
            Change::ServiceGone(name) => self.reconciler.delete_service(&name),
            Change::SliceGone(name) => self.reconciler.delete_slice(&name),
            Change::NodeWeightGone(name) => self.reconciler.set_node_weight(name.name(), None),
            Change::Begin(_) | Change::Node(None) => {}
        }
        None
    }

    /// The Node object of this node, as far as it is known.
    pub fn node(&self) -> &NodeObject {
        &self.node
    }

    fn set_node(&mut self, node: NodeObject) {
        self.node = node.clone();
        self.reconciler.apply_node(node);
    }

    /// Compares with a kernel.
    ///
    /// # Errors
    /// What could not be read.
    pub fn compare(mut self, kernel: &mut impl Observer) -> Result<Difference, PortError> {
        adopt(&mut self.reconciler, kernel)?;
        let ours: HashSet<Frontend> = self.reconciler.known_frontends().collect();
        let mut difference = Difference::default();
        for server in kernel.virtual_servers()? {
            if !ours.contains(&server.frontend) {
                difference.foreign.push(server.frontend);
            }
        }
        while !self.reconciler.is_idle() {
            // As if every operation had been done.
            let plan = self.reconciler.plan(Duration::ZERO, usize::MAX);
            self.reconciler.take_report(&plan, &Report::default(), Duration::ZERO);
            let words = plan.operations().map(|operation| operation.action.to_string());
            difference.operations.extend(words);
        }
        Ok(difference)
    }
}
