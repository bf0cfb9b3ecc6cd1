//! The reconciler: objects in, plans out.

mod audit;
mod claims;
mod drain;
mod elements;
mod endpoints;
mod feed;
mod health_check;
mod local_endpoints;
mod marks;
mod names;
mod node_weights;
mod observe;
mod planning;
mod problems;
mod programmed;
mod settle;

#[cfg(test)]
mod linear;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use trimtab_core::{Frontend, RealServerKey};

pub use health_check::{HealthCheck, HealthCheckFamily};
pub use local_endpoints::WithoutLocalEndpoints;
pub use observe::Drift;
pub use programmed::Programmed;

use crate::desired::NodeView;
use crate::hints::HintTable;
use crate::nodes::Nodes;
use crate::operation::Owner;
use crate::order;
use crate::retry::Retries;
use crate::services::{ServiceEntry, Services, StoredSlice};
use crate::settings::Settings;
use crate::symbol::Symbols;
use crate::tables::{Deadline, Item, Tables};
use crate::views::Views;
use trimtab_core::objects::{LocalAddress, NodeObject, ObjectName};

/// Keeps what the kernel should hold and what it is known to hold, and plans the difference.
///
/// Time is an argument: a [`Duration`] since any fixed moment, never going back.
#[derive(Debug)]
pub struct Reconciler {
    settings: Settings,
    order_seed: u64,
    services: Services,
    slices: HashMap<ObjectName, StoredSlice>,
    symbols: Symbols,
    hints: HintTable,
    /// Where nodes have weights.
    nodes: Option<Nodes>,
    local_addresses: Vec<LocalAddress>,
    /// Every address that the node has or had, which says which virtual servers of node ports are
    /// ours.
    own_addresses: HashSet<IpAddr>,
    /// When schedulers that the kernel lacked are tried again.
    schedulers_due: Option<Duration>,
    node_object: NodeObject,
    node: NodeView,
    tables: Tables,
    urgent: VecDeque<Owner>,
    queue: VecDeque<Owner>,
    retries: Retries,
    draining: HashSet<Frontend>,
    /// Virtual servers whose frontend is a mark and that nobody asks for any more.
    leaving: HashMap<Frontend, marks::Leaving>,
    views: Views,
    /// Real servers that got into a virtual server of somebody else.
    strays: Vec<(Frontend, RealServerKey)>,
    /// The first time that a drain ends, as far as known.
    first_drain_end: Option<Deadline>,
    suspects: HashSet<Frontend>,
    audit: u32,
    /// The set elements and addresses that were changed since an audit began to read those.
    changed_since_read: Option<HashSet<Item>>,
    troubled: HashSet<ObjectName>,
    health_checks: HashSet<ObjectName>,
}

impl Reconciler {
    /// A reconciler that knows no object and believes the kernel to be empty.
    pub fn new(settings: Settings) -> Self {
        let nodes = settings.node_weights.then(Nodes::default);
        let node = NodeView::new(&[], &[], &settings.node_port_addresses);
        Self {
            order_seed: order::seed(&settings.node_name),
            hints: HintTable::new(&settings.node_name),
            services: Services::default(),
            slices: HashMap::new(),
            symbols: Symbols::default(),
            nodes,
            local_addresses: Vec::new(),
            own_addresses: HashSet::new(),
            schedulers_due: None,
            node_object: NodeObject::default(),
            node,
            tables: Tables::default(),
            urgent: VecDeque::new(),
            queue: VecDeque::new(),
            retries: Retries::default(),
            draining: HashSet::new(),
            leaving: HashMap::new(),
            views: Views::new(settings.marks),
            strays: Vec::new(),
            first_drain_end: None,
            suspects: HashSet::new(),
            audit: 0,
            changed_since_read: None,
            troubled: HashSet::new(),
            health_checks: HashSet::new(),
            settings,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether there is nothing to plan now.
    pub fn is_settled(&self) -> bool {
        self.urgent.is_empty() && self.queue.is_empty() && self.strays.is_empty()
    }

    /// How many Services wait to be planned.
    pub fn backlog(&self) -> usize {
        self.urgent.len() + self.queue.len()
    }

    /// How many Services are proxied.
    pub fn service_count(&self) -> usize {
        self.services.served
    }

    /// How many objects failed and wait to be tried again.
    pub fn retrying(&self) -> usize {
        self.retries.len()
    }

    /// How many Services have something that failed and waits to be tried again, with what belongs
    /// to none counted as one.
    pub fn failing_services(&self) -> usize {
        self.retries.owners()
    }

    /// Whether something failed of the Services that everything else needs: the API server's and
    /// DNS's.
    pub fn fails_essentially(&self) -> bool {
        let mut owners = self.retries.iter_owners();
        owners.any(|owner| self.services.get(owner).is_some_and(ServiceEntry::is_urgent))
    }

    /// VIPs that are wanted and not bound yet.
    pub fn unbound(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let unbound = self.tables.addresses.iter().filter(|(_, it)| it.wanted > 0 && !it.present);
        unbound.map(|(address, _)| *address)
    }

    /// When [`Reconciler::plan`] has something to do even if nothing else happens.
    pub fn next_retry(&self) -> Option<Duration> {
        [self.retries.next(), self.schedulers_due].into_iter().flatten().min()
    }

    /// Notes that an object may have to be changed, on behalf of `owner`.
    fn touch(&mut self, owner: Owner, item: Item) {
        // What is left of a Service that is gone is nobody's.
        let owner = if self.services.get(owner).is_some() { owner } else { Owner::NOBODY };
        let Some(entry) = self.services.get_mut(owner) else { return };
        entry.pending.push(item);
        self.enqueue(owner);
    }

    /// Puts a Service into the queue, unless it is there.
    fn enqueue(&mut self, owner: Owner) {
        let Some(entry) = self.services.get_mut(owner) else { return };
        if !entry.queued {
            entry.queued = true;
            if entry.is_urgent() {
                self.urgent.push_back(owner);
            } else {
                self.queue.push_back(owner);
            }
        }
    }
}
