//! `trimtab diff`: compares what the kernel should hold with what it holds.

use std::time::Duration;

use hashbrown::HashSet;
use ipnet::IpNet;
use trimtab_agent::feed;
use trimtab_config::Config;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{Family, Frontend};
use trimtab_kube::Change;
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
pub struct Wanted<'a> {
    config: &'a Config,
    reconciler: Reconciler,
    pod_networks: Vec<IpNet>,
}

impl<'a> Wanted<'a> {
    /// Empty, for a node with these addresses and families.
    pub fn new(config: &'a Config, families: Vec<Family>, local: Vec<LocalAddress>) -> Self {
        let mut reconciler = Reconciler::new(Settings { families, ..config.settings() });
        reconciler.set_local_addresses(local);
        Self { config, reconciler, pod_networks: Vec::new() }
    }

    /// Takes a change from the API server, or from manifests.
    pub fn take(&mut self, change: Change) {
        if let Change::Node(Some(state)) = &change {
            self.pod_networks.clone_from(&state.facts.pod_cidrs);
        }
        feed(&mut self.reconciler, self.config, change);
    }

    /// The node's pod networks, as far as its Node object is known.
    pub fn pod_networks(&self) -> &[IpNet] {
        &self.pod_networks
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
