//! The objects as the API server has them, a reconciler that is told, and a kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use trimtab_core::objects::{EndpointSlice, LocalAddress, NodeObject, ObjectName, Service};
use trimtab_core::{Frontend, MarkRange, SetElement, SetId, SetKind};
use trimtab_reconcile::{
    HealthCheck, Kernel, KernelState, Plan, Problem, Reason, Reconciler, Settings, execute,
};

use crate::events::Event;

/// The objects as they are now.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) settings: Settings,
    pub(crate) services: BTreeMap<ObjectName, Service>,
    pub(crate) slices: BTreeMap<ObjectName, EndpointSlice>,
    pub(crate) node: Option<NodeObject>,
    pub(crate) addresses: Vec<LocalAddress>,
    pub(crate) weights: BTreeMap<&'static str, u16>,
}

impl Objects {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            node: None,
            addresses: Vec::new(),
            weights: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Service(service) => {
                self.services.insert(service.name.clone(), (**service).clone());
            }
            Event::ServiceGone(name) => {
                self.services.remove(name);
            }
            Event::Slice(slice) => {
                self.slices.insert(slice.name.clone(), slice.clone());
            }
            Event::SliceGone(name) => {
                self.slices.remove(name);
            }
            Event::Node(node) => self.node = Some(node.clone()),
            Event::Addresses(addresses) => self.addresses.clone_from(addresses),
            Event::NodeWeight(node, Some(weight)) => {
                self.weights.insert(node, *weight);
            }
            Event::NodeWeight(node, None) => {
                self.weights.remove(node);
            }
            Event::Sync | Event::Wait(_) => {}
        }
    }

    /// A reconciler that is told all of it at once.
    pub(crate) fn reconciler(&self) -> Reconciler {
        let mut reconciler = Reconciler::new(self.settings.clone());
        reconciler.set_local_addresses(self.addresses.clone());
        for (node, weight) in &self.weights {
            reconciler.set_node_weight(node, Some(*weight));
        }
        for slice in self.slices.values() {
            reconciler.apply_slice(slice);
        }
        for service in self.services.values() {
            reconciler.apply_service(service.clone());
        }
        if let Some(node) = &self.node {
            reconciler.apply_node(node.clone());
        }
        reconciler
    }

    /// What the kernel should hold.
    pub(crate) fn desired(&self) -> KernelState {
        let mut world = World::new(self.reconciler(), KernelState::default());
        world.sync();
        world.kernel
    }
}

pub(crate) fn settings() -> Settings {
    let drain_timeout = Duration::from_secs(20);
    // Few marks, so that they are rare, and enough for what there can be at a time.
    let marks = MarkRange::of_bits(0x140f);
    Settings { drain_timeout, node_weights: true, marks, ..Settings::new("here") }
}

pub(crate) fn tell(reconciler: &mut Reconciler, event: &Event) {
    match event {
        Event::Service(service) => reconciler.apply_service((**service).clone()),
        Event::ServiceGone(name) => reconciler.delete_service(name),
        Event::Slice(slice) => reconciler.apply_slice(slice),
        Event::SliceGone(name) => reconciler.delete_slice(name),
        Event::Node(node) => reconciler.apply_node(node.clone()),
        Event::Addresses(addresses) => reconciler.set_local_addresses(addresses.clone()),
        Event::NodeWeight(node, weight) => reconciler.set_node_weight(node, *weight),
        Event::Sync | Event::Wait(_) => {}
    }
}

/// What others were told, as they remember it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    problems: BTreeMap<ObjectName, Vec<Problem>>,
    health_checks: BTreeMap<ObjectName, HealthCheck>,
}

impl Told {
    /// Whether any Service was told that it finds no mark.
    pub(crate) fn lacks_marks(&self) -> bool {
        let is_it = |problem: &Problem| problem.reason == Reason::NoMarkLeft;
        self.problems.values().flatten().any(is_it)
    }

    pub(crate) fn listen(&mut self, reconciler: &mut Reconciler) {
        for problems in reconciler.take_problems() {
            self.problems.insert(problems.service, problems.found);
        }
        self.problems.retain(|_, found| !found.is_empty());
        for (service, state) in reconciler.take_health_checks() {
            match state {
                Some(state) => self.health_checks.insert(service, state),
                None => self.health_checks.remove(&service),
            };
        }
    }
}

/// A reconciler and a kernel.
pub(crate) struct World<K> {
    pub(crate) reconciler: Reconciler,
    pub(crate) kernel: K,
    pub(crate) now: Duration,
    pub(crate) limit: usize,
    pub(crate) operations: usize,
}

/// A kernel whose state can be looked at.
pub(crate) trait Visible: Kernel {
    fn state(&self) -> &KernelState;
    /// Before a plan is carried out.
    fn expect(&mut self, _plan: &Plan) {}
}

impl Visible for KernelState {
    fn state(&self) -> &KernelState {
        self
    }
}

impl<K: Visible> World<K> {
    pub(crate) fn new(reconciler: Reconciler, kernel: K) -> Self {
        Self { reconciler, kernel, now: Duration::ZERO, limit: 20, operations: 0 }
    }

    /// What the daemon does at start.
    pub(crate) fn adopt(&mut self) {
        let state = self.kernel.state().clone();
        for set in SetId::all() {
            let elements = state.elements.iter().filter(|(s, _)| *s == set).map(|(_, e)| *e);
            self.reconciler.observe_elements(set, elements);
        }
        self.reconciler.observe_addresses(state.addresses.iter().copied());
        for frontend in state.virtual_servers.keys() {
            self.look_at(*frontend);
        }
    }

    /// What the daemon does after each change: plan, carry out, report, until nothing is left.
    pub(crate) fn sync(&mut self) {
        for _ in 0..10_000 {
            let plan = self.reconciler.plan(self.now, self.limit);
            if plan.is_empty() && self.reconciler.is_idle() {
                return;
            }
            self.operations += plan.len();
            self.kernel.expect(&plan);
            let report = execute(&plan, &mut self.kernel);
            self.reconciler.take_report(&plan, &report, self.now);
            for frontend in self.reconciler.take_to_reread(usize::MAX) {
                self.look_at(frontend);
            }
        }
        panic!("the plan never becomes empty");
    }

    fn look_at(&mut self, frontend: Frontend) {
        let found = self.kernel.state().virtual_servers.get(&frontend);
        self.reconciler.observe_virtual_server(frontend, found.map(|state| &state.server));
        let servers = found.into_iter().flat_map(|state| state.real_servers.values().copied());
        self.reconciler.observe_real_servers(frontend, servers);
    }

    /// What the daemon does from time to time: those that drain have no connections left.
    pub(crate) fn end_drains(&mut self) {
        let draining: Vec<_> = self.reconciler.draining().collect();
        for frontend in draining {
            let keys: Vec<_> = self
                .kernel
                .state()
                .virtual_servers
                .get(&frontend)
                .into_iter()
                .flat_map(|state| state.real_servers.keys().map(|key| (*key, 0)))
                .collect();
            self.reconciler.observe_connections(frontend, keys, self.now);
        }
        self.sync();
    }

    /// What the daemon does periodically.
    pub(crate) fn audit(&mut self) {
        let state = self.kernel.state().clone();
        self.reconciler.begin_audit();
        for set in SetId::all() {
            let elements = state.elements.iter().filter(|(s, _)| *s == set).map(|(_, e)| *e);
            self.reconciler.audit_elements(set, &elements.collect::<Vec<_>>());
            self.reconciler.end_audit_of_elements(set);
        }
        let addresses: Vec<_> = state.addresses.iter().copied().collect();
        self.reconciler.audit_addresses(&addresses);
        self.reconciler.end_audit_of_addresses();
        let servers: Vec<_> = state.virtual_servers.values().map(|s| s.server.clone()).collect();
        self.reconciler.audit_virtual_servers(&servers);
        self.reconciler.end_audit_of_virtual_servers();
        for (frontend, found) in &state.virtual_servers {
            let servers = found.real_servers.values().copied();
            self.reconciler.audit_real_servers(*frontend, servers);
        }
        for frontend in self.reconciler.take_to_reread(usize::MAX) {
            self.look_at(frontend);
        }
        self.sync();
    }
}

/// The record that a mark is ours.
pub(crate) fn record_of(mark: &Frontend) -> (SetId, SetElement) {
    let Frontend::Mark { mark, family } = *mark else { panic!("{mark} is no mark") };
    (SetId::new(SetKind::Marks, family), SetElement::of_mark(mark, family))
}

/// The marks that packets are given, each with a frontend that they go to.
pub(crate) fn inside_marks(state: &KernelState) -> Vec<(Frontend, Frontend)> {
    let of_element = |(set, element): &(SetId, SetElement)| match *element {
        SetElement::IpPortMark(ip, protocol, port, mark) => {
            let mark = Frontend::Mark { mark, family: set.family };
            Some((mark, Frontend::new(protocol, ip, port)))
        }
        _ => None,
    };
    state.elements.iter().filter_map(of_element).collect()
}

/// What one kernel has and another has not, a line each; empty if they are equal.
pub(crate) fn difference(found: &KernelState, wanted: &KernelState) -> String {
    let (found, wanted) = (lines(found), lines(wanted));
    let surplus = found.difference(&wanted).map(|line| format!("surplus: {line}\n"));
    let missing = wanted.difference(&found).map(|line| format!("missing: {line}\n"));
    surplus.chain(missing).collect()
}

/// Which mark a view has follows from what was before; so each is named by what leads to it.
fn lines(state: &KernelState) -> BTreeSet<String> {
    let mut views: BTreeMap<Frontend, String> = BTreeMap::new();
    for (mark, frontend) in inside_marks(state) {
        let name = views.entry(mark).or_default();
        let _ = write!(name, "inside of {frontend}, ");
    }
    let mut lines = BTreeSet::new();
    for (frontend, state) in &state.virtual_servers {
        let mut server = state.server.clone();
        let name = views.get(frontend).cloned().unwrap_or_else(|| frontend.to_string());
        if views.contains_key(frontend) {
            server.frontend = Frontend::Mark { mark: 0, family: frontend.family() };
        }
        lines.insert(format!("{name} {server:?}"));
        for real in state.real_servers.values() {
            lines.insert(format!("{name} -> {real:?}"));
        }
    }
    for (set, element) in &state.elements {
        lines.insert(match *element {
            SetElement::IpPortMark(.., mark) => {
                let mark = Frontend::Mark { mark, family: set.family };
                let SetElement::IpPortMark(ip, protocol, port, _) = *element else { continue };
                format!("{} <- {protocol} {ip} {port}", views[&mark])
            }
            SetElement::Ip(_) if set.kind == SetKind::Marks => {
                let is_it = |mark: &&Frontend| record_of(mark) == (*set, *element);
                let view = views.iter().find(|(mark, _)| is_it(mark));
                format!("{set} {}", view.map_or(&element.to_string(), |(_, view)| view))
            }
            _ => format!("{set} {element}"),
        });
    }
    lines.extend(state.addresses.iter().map(ToString::to_string));
    lines
}
