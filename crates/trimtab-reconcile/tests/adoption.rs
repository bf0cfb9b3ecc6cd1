//! Which of the kernel's objects are taken for ours, and what becomes of them.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, LocalAddress, ObjectName, Service, ServicePort,
    SlicePort,
};
use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetElement, SetId, SetKind,
    VirtualServer,
};
use trimtab_reconcile::{
    Action, Kernel, KernelState, NodePortAddresses, Phase, Plan, Reconciler, Refused, Settings,
    execute,
};

const NODE_PORT: u16 = 30080;

fn node_port_service() -> Service {
    Service {
        cluster_ips: vec![[10, 96, 0, 1].into()],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: NODE_PORT,
        }],
        ..Service::new(ObjectName::new("n", "web"))
    }
}

fn on_interface(addresses: &[[u8; 4]]) -> Vec<LocalAddress> {
    let local = |address: &[u8; 4]| LocalAddress {
        interface: "eth0".into(),
        address: IpAddr::from(*address),
    };
    addresses.iter().map(local).collect()
}

fn at(address: [u8; 4]) -> Frontend {
    Frontend::new(Protocol::Tcp, address.into(), NODE_PORT)
}

/// A reconciler that has taken over a kernel with the node port's element and a virtual server at each
/// of these addresses.
fn adopted(settings: Settings, addresses: &[[u8; 4]]) -> Reconciler {
    let mut reconciler = Reconciler::new(settings);
    reconciler.set_local_addresses(on_interface(&[[192, 168, 0, 1], [192, 168, 1, 1]]));
    reconciler.apply_service(node_port_service());
    let set = SetId::new(SetKind::NodePortTcp, Family::V4);
    reconciler.observe_elements(set, [SetElement::Port(NODE_PORT)]);
    for address in addresses {
        let server = VirtualServer::new(at(*address), Scheduler::RoundRobin);
        reconciler.observe_virtual_server(at(*address), Some(&server));
    }
    reconciler
}

fn deleted(plan: &Plan) -> Vec<Frontend> {
    let deleted = plan.operations().filter_map(|operation| match operation.action {
        Action::DeleteVirtualServer(frontend) => Some(frontend),
        _ => None,
    });
    deleted.collect()
}

#[test]
fn a_virtual_server_on_a_node_ports_number_at_an_address_that_is_not_the_nodes_is_left_alone() {
    let theirs = [203, 0, 113, 7];
    let mut reconciler = adopted(Settings::new("node"), &[[192, 168, 0, 1], theirs]);
    assert_eq!(deleted(&reconciler.plan(Duration::ZERO, 1000)), []);
    // Nor is one that comes later and is seen by a comparison.
    reconciler.begin_audit();
    reconciler.audit_virtual_servers(&[VirtualServer::new(at(theirs), Scheduler::RoundRobin)]);
    assert!(!reconciler.take_to_reread(usize::MAX).contains(&at(theirs)));
}

#[test]
fn a_node_port_at_an_address_that_node_port_addresses_leaves_out_now_is_deleted() {
    let networks = vec!["192.168.0.0/24".parse().unwrap()];
    let settings = Settings {
        node_port_addresses: NodePortAddresses::Networks(networks),
        ..Settings::new("node")
    };
    let mut reconciler = adopted(settings, &[[192, 168, 0, 1], [192, 168, 1, 1]]);
    assert_eq!(deleted(&reconciler.plan(Duration::ZERO, 1000)), [at([192, 168, 1, 1])]);
}

#[test]
fn a_node_port_at_an_address_that_the_node_lost_is_still_known_as_ours() {
    let mut reconciler = adopted(Settings::new("node"), &[[192, 168, 0, 1], [192, 168, 1, 1]]);
    reconciler.plan(Duration::ZERO, 1000);
    reconciler.set_local_addresses(on_interface(&[[192, 168, 0, 1]]));
    assert_eq!(deleted(&reconciler.plan(Duration::ZERO, 1000)), [at([192, 168, 1, 1])]);
    // Somebody puts it back.
    let back = VirtualServer::new(at([192, 168, 1, 1]), Scheduler::RoundRobin);
    reconciler.begin_audit();
    reconciler.audit_virtual_servers(std::slice::from_ref(&back));
    assert!(reconciler.take_to_reread(usize::MAX).contains(&back.frontend));
    reconciler.observe_virtual_server(back.frontend, Some(&back));
    assert_eq!(deleted(&reconciler.plan(Duration::ZERO, 1000)), [back.frontend]);
}

fn endpoints(hosts: &[u8]) -> EndpointSlice {
    let endpoint = |host: &u8| Endpoint {
        address: IpAddr::from([10, 244, 0, *host]),
        conditions: Conditions::default(),
        node: None,
        hints: Hints::default(),
    };
    EndpointSlice {
        name: ObjectName::new("n", "web-1"),
        service: ObjectName::new("n", "web"),
        family: Family::V4,
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: hosts.iter().map(endpoint).collect(),
        weight: None,
    }
}

#[test]
fn what_drains_already_is_given_the_time_that_the_service_asks_for_now() {
    let second = Duration::from_secs(1);
    let draining = || {
        let mut reconciler = Reconciler::new(Settings::new("node"));
        let mut kernel = KernelState::default();
        reconciler.apply_service(node_port_service());
        reconciler.apply_slice(&endpoints(&[1, 2]));
        program(&mut reconciler, &mut kernel, Duration::ZERO);
        reconciler.apply_slice(&endpoints(&[1]));
        program(&mut reconciler, &mut kernel, second);
        assert_eq!(reconciler.draining_servers(), 1);
        (reconciler, kernel)
    };
    let with_timeout = |seconds: u32| {
        let mut service = node_port_service();
        service.tuning.drain_timeout = Some(second * seconds);
        service
    };
    let leaving = RealServerKey::new([10, 244, 0, 2].into(), 8080);
    for (timeout, at, is_kept) in [(60, 30, true), (60, 62, false), (0, 2, false)] {
        let (mut reconciler, mut kernel) = draining();
        reconciler.apply_service(with_timeout(timeout));
        program(&mut reconciler, &mut kernel, second * 2);
        let frontend = Frontend::new(Protocol::Tcp, [10, 96, 0, 1].into(), 80);
        reconciler.observe_connections(frontend, [(leaving, 1)], second * at);
        program(&mut reconciler, &mut kernel, second * at);
        let kept = kernel.virtual_servers[&frontend].real_servers.contains_key(&leaving);
        assert_eq!(kept, is_kept, "{timeout} s, after {at} s");
    }
}

/// A kernel without the scheduler `sh`, for a time.
struct Lacking(KernelState, bool);

impl Kernel for Lacking {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut refused = Vec::new();
        for (position, action) in actions.iter().enumerate() {
            let lacks = matches!(
                action,
                Action::AddVirtualServer(server) | Action::SetVirtualServer(server)
                    if server.scheduler == Scheduler::SourceHashing
            );
            if lacks && self.1 {
                refused.push((position, Refused::NoScheduler("no".into())));
            } else {
                refused.extend(
                    self.0.apply(phase, &[action]).into_iter().map(|(_, why)| (position, why)),
                );
            }
        }
        refused
    }
}

#[test]
fn a_scheduler_that_was_missing_is_used_once_it_is_there() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    let mut kernel = Lacking(KernelState::default(), true);
    let mut service = node_port_service();
    service.tuning.scheduler = Some(Scheduler::SourceHashing);
    reconciler.apply_service(service);
    let frontend = Frontend::new(Protocol::Tcp, [10, 96, 0, 1].into(), 80);
    let scheduler = |kernel: &Lacking| kernel.0.virtual_servers[&frontend].server.scheduler;
    program(&mut reconciler, &mut kernel, Duration::ZERO);
    program(&mut reconciler, &mut kernel, Duration::from_secs(1));
    assert_eq!(scheduler(&kernel), Scheduler::RoundRobin);
    assert_eq!(reconciler.take_problems()[0].found.len(), 1);
    // It is tried again in vain, and what serves goes on serving.
    let now = reconciler.next_retry().expect("another try");
    program(&mut reconciler, &mut kernel, now);
    assert_eq!(scheduler(&kernel), Scheduler::RoundRobin);
    assert_eq!(reconciler.take_problems()[0].found.len(), 1, "still missing");
    kernel.1 = false;
    let now = reconciler.next_retry().expect("another try");
    program(&mut reconciler, &mut kernel, now);
    assert_eq!(scheduler(&kernel), Scheduler::SourceHashing);
    assert_eq!(reconciler.take_problems()[0].found, []);
    assert_eq!(reconciler.next_retry(), None);
}

/// Plans and carries out all that is due.
fn program(reconciler: &mut Reconciler, kernel: &mut impl KernelWithState, now: Duration) {
    loop {
        let plan = reconciler.plan(now, 1000);
        let report = execute(&plan, kernel);
        reconciler.take_report(&plan, &report, now);
        for frontend in reconciler.take_to_reread(usize::MAX) {
            let found = kernel.state().virtual_servers.get(&frontend);
            reconciler.observe_virtual_server(frontend, found.map(|found| &found.server));
            let servers: Vec<RealServer> =
                found.into_iter().flat_map(|found| found.real_servers.values().copied()).collect();
            reconciler.observe_real_servers(frontend, servers);
        }
        if plan.is_empty() && reconciler.is_idle() {
            return;
        }
    }
}

trait KernelWithState: Kernel {
    fn state(&self) -> &KernelState;
}

impl KernelWithState for KernelState {
    fn state(&self) -> &KernelState {
        self
    }
}

impl KernelWithState for Lacking {
    fn state(&self) -> &KernelState {
        &self.0
    }
}
