//! Clients inside the cluster have views of their own of frontends with external traffic policy Local.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, ObjectName, Service, ServicePort, ServiceType,
    SlicePort, TrafficPolicy,
};
use trimtab_core::{
    Family, Frontend, MarkRange, Protocol, RealServer, RealServerKey, Scheduler, SetElement,
    SetKind, VirtualServer, VirtualServerFlags,
};
use trimtab_reconcile::{
    Action, KernelState, Reason, Reconciler, Settings, VirtualServerState, execute,
};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings { marks: Some(MarkRange::DEFAULT), ..Settings::new("here") }
}

fn vip(number: u8) -> IpAddr {
    [203, 0, 113, number].into()
}

/// A Service with a load balancer's VIP and a cluster IP.
fn service(number: u8, policy: TrafficPolicy) -> Service {
    Service {
        kind: ServiceType::LoadBalancer,
        cluster_ips: vec![[10, 96, 0, number].into()],
        load_balancer_ips: vec![vip(number)],
        external_policy: policy,
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 0,
        }],
        ..Service::new(ObjectName::new("n", &format!("service-{number}")))
    }
}

/// Endpoints by host, each here or elsewhere.
fn slice(number: u8, hosts: &[(u8, bool)]) -> EndpointSlice {
    let endpoint = |(host, here): &(u8, bool)| Endpoint {
        address: [10, 244, number, *host].into(),
        conditions: Conditions::default(),
        node: Some(if *here { "here".into() } else { "there".into() }),
        hints: Hints::default(),
    };
    let name = format!("service-{number}");
    EndpointSlice {
        name: ObjectName::new("n", &name),
        service: ObjectName::new("n", &name),
        family: Family::V4,
        ports: vec![SlicePort { name: "".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: hosts.iter().map(endpoint).collect(),
        weight: None,
    }
}

/// A reconciler and the kernel that it programs.
struct Node {
    reconciler: Reconciler,
    kernel: KernelState,
    now: Duration,
}

impl Node {
    fn new(settings: Settings) -> Self {
        let reconciler = Reconciler::new(settings);
        Self { reconciler, kernel: KernelState::default(), now: SECOND }
    }

    /// Plans and carries out all that is due; what was done, a list for each plan.
    fn sync(&mut self) -> Vec<Vec<Action>> {
        let mut plans = Vec::new();
        loop {
            let plan = self.reconciler.plan(self.now, 1000);
            if plan.is_empty() && self.reconciler.is_idle() {
                return plans;
            }
            let report = execute(&plan, &mut self.kernel);
            self.reconciler.take_report(&plan, &report, self.now);
            for frontend in self.reconciler.take_to_reread(usize::MAX) {
                let found = self.kernel.virtual_servers.get(&frontend);
                self.reconciler.observe_virtual_server(frontend, found.map(|it| &it.server));
                let servers = found.into_iter().flat_map(|it| it.real_servers.values().copied());
                self.reconciler.observe_real_servers(frontend, servers);
            }
            plans.push(plan.operations().map(|operation| operation.action.clone()).collect());
        }
    }

    /// As [`Self::sync`], a line for each operation.
    fn done(&mut self) -> Vec<String> {
        self.sync().into_iter().flatten().map(|action| action.to_string()).collect()
    }

    /// The mark that packets to a VIP are given.
    fn mark(&self, address: IpAddr) -> Option<Frontend> {
        self.kernel.elements.iter().find_map(|(set, element)| match *element {
            SetElement::IpPortMark(ip, _, _, mark) if ip == address => {
                Some(Frontend::Mark { mark, family: set.family })
            }
            _ => None,
        })
    }

    fn hosts(&self, frontend: Frontend) -> Vec<u8> {
        let servers = self.kernel.virtual_servers[&frontend].real_servers.values();
        let with_weight = servers.filter(|server| server.weight > 0);
        let last = with_weight.map(|server| match server.key.address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        });
        last.collect()
    }

    /// Says how many connections every real server has that may have to go.
    fn connections(&mut self, count: u64) {
        let draining: Vec<Frontend> = self.reconciler.draining().collect();
        for frontend in draining {
            let keys = self.kernel.virtual_servers[&frontend].real_servers.keys();
            let counts: Vec<_> = keys.map(|key| (*key, count)).collect();
            self.reconciler.observe_connections(frontend, counts, self.now);
        }
    }
}

fn at(address: IpAddr) -> Frontend {
    Frontend::new(Protocol::Tcp, address, 80)
}

/// A node with one Service of policy Local, with endpoints here and elsewhere.
fn local() -> Node {
    let mut node = Node::new(settings());
    node.reconciler.apply_service(service(1, TrafficPolicy::Local));
    node.reconciler.apply_slice(&slice(1, &[(1, true), (2, false)]));
    node.sync();
    node
}

#[test]
fn inside_has_all_endpoints_and_outside_those_that_are_here() {
    let node = local();
    let inside = node.mark(vip(1)).unwrap();
    assert_eq!(node.hosts(at(vip(1))), [1]);
    assert_eq!(node.hosts(inside), [1, 2]);
    assert_eq!(node.kernel.virtual_servers.len(), 3, "the cluster IP has one view");
    assert_eq!(node.mark([10, 96, 0, 1].into()), None);
}

#[test]
fn without_policy_local_or_without_marks_there_is_one_view() {
    for (marks, policy) in
        [(settings().marks, TrafficPolicy::Cluster), (None, TrafficPolicy::Local)]
    {
        let mut node = Node::new(Settings { marks, ..settings() });
        node.reconciler.apply_service(service(1, policy));
        node.sync();
        assert_eq!(node.mark(vip(1)), None);
        assert_eq!(node.kernel.virtual_servers.len(), 2);
    }
}

#[test]
fn an_endpoint_costs_one_operation_more_however_many_frontends_its_port_has() {
    let mut node = Node::new(settings());
    let mut many = service(1, TrafficPolicy::Local);
    many.external_ips = (1..=20).map(|last| IpAddr::from([198, 51, 100, last])).collect();
    node.reconciler.apply_service(many);
    node.reconciler.apply_slice(&slice(1, &[(1, true), (2, false)]));
    node.sync();
    let views: std::collections::BTreeSet<_> =
        (1..=20).map(|last| node.mark([198, 51, 100, last].into())).collect();
    assert_eq!(views, [node.mark(vip(1))].into());
    node.reconciler.apply_slice(&slice(1, &[(1, true), (2, false), (3, false)]));
    let view = node.mark(vip(1)).unwrap();
    let expected = [
        format!("add real server 10.244.1.3:8080 to {view}"),
        "add real server 10.244.1.3:8080 to TCP 10.96.0.1:80".to_owned(),
    ];
    let mut done = node.done();
    done.sort();
    assert_eq!(done, expected);
}

#[test]
fn connections_live_through_a_change_of_policy_and_back() {
    let mut node = local();
    let view = node.mark(vip(1)).unwrap();
    let before = node.kernel.clone();
    node.reconciler.apply_service(service(1, TrafficPolicy::Cluster));
    let done = node.done();
    // The other view is complete before clients inside get it.
    let place = |text: &str| done.iter().position(|line| line.starts_with(text)).unwrap();
    assert!(
        place("add real server 10.244.1.2:8080 to TCP 203.0.113.1:80")
            < place("delete 203.0.113.1,tcp:80 skbmark")
    );
    assert_eq!(node.mark(vip(1)), None);
    assert_eq!(node.hosts(view), [1, 2], "connections inside go on");
    node.now += SECOND;
    node.connections(1);
    assert_eq!(node.done(), [""; 0]);
    // And back: it is the same view again.
    node.reconciler.apply_service(service(1, TrafficPolicy::Local));
    let done = node.done();
    assert!(
        !done.iter().any(|line| line.starts_with("delete virtual") || line.contains("delete real"))
    );
    assert_eq!(node.mark(vip(1)), Some(view));
    assert_eq!(node.hosts(at(vip(1))), [1], "the others drain");
    node.connections(0);
    node.sync();
    assert_eq!(node.kernel, before);
}

#[test]
fn a_view_that_is_left_goes_when_its_connections_have_ended() {
    for is_over in [false, true] {
        let mut node = local();
        let view = node.mark(vip(1)).unwrap();
        node.reconciler.apply_service(service(1, TrafficPolicy::Cluster));
        node.sync();
        if is_over {
            node.now = node.reconciler.next_drain_end().unwrap();
        }
        node.connections(u64::from(is_over));
        let done = node.done();
        let Frontend::Mark { mark, family } = view else { panic!() };
        let record = SetElement::of_mark(mark, family);
        let last = format!("delete {record} from ipset TRIMTAB-MARKS");
        assert_eq!(done, [format!("delete virtual server {view}"), last]);
    }
}

#[test]
fn a_service_that_goes_takes_its_view_along() {
    let mut node = local();
    node.reconciler.delete_service(&ObjectName::new("n", "service-1"));
    node.reconciler.delete_slice(&ObjectName::new("n", "service-1"));
    node.sync();
    assert_eq!(node.kernel, KernelState::default());
}

#[test]
fn a_mark_is_free_when_the_kernel_has_nothing_with_it_any_more() {
    let marks = MarkRange::of_bits(0x7).unwrap();
    let mut node = Node::new(Settings { marks: Some(marks), ..settings() });
    // One more than there are marks.
    let numbers = 0..=u8::try_from(marks.count()).unwrap();
    for number in numbers.clone() {
        node.reconciler.apply_service(service(number, TrafficPolicy::Local));
        node.reconciler.apply_slice(&slice(number, &[(1, true), (2, false)]));
    }
    node.sync();
    let short: Vec<u8> = numbers.filter(|number| node.mark(vip(*number)).is_none()).collect();
    let [second] = short[..] else { panic!("{short:?}") };
    let first = u8::from(second == 0);
    let view = node.mark(vip(first)).unwrap();
    assert_eq!(node.hosts(at(vip(second))), [1], "inside has the view of outside");
    let problems = node.reconciler.take_problems();
    let told = problems.iter().find(|it| !it.found.is_empty()).unwrap();
    assert_eq!(told.service, service(second, TrafficPolicy::Local).name);
    assert_eq!(told.found[0].reason, Reason::NoMarkLeft);
    node.reconciler.delete_service(&service(first, TrafficPolicy::Local).name);
    let plans = node.sync();
    let when =
        |is_it: &dyn Fn(&Action) -> bool| plans.iter().position(|plan| plan.iter().any(is_it));
    let deleted = when(&|action| *action == Action::DeleteVirtualServer(view)).unwrap();
    let made = when(
        &|action| matches!(action, Action::AddVirtualServer(server) if server.frontend == view),
    );
    assert!(deleted < made.unwrap(), "{plans:?}");
    assert_eq!(node.mark(vip(second)), Some(view));
    assert_eq!(node.hosts(view), [1, 2]);
    let problems = node.reconciler.take_problems();
    assert!(problems.iter().all(|it| it.found.is_empty()), "{problems:?}");
}

fn somebody_elses(mark: Frontend) -> VirtualServerState {
    let key = RealServerKey::new([172, 16, 0, 2].into(), 443);
    let server = VirtualServer::new(mark, Scheduler::SourceHashing);
    VirtualServerState { server, real_servers: [(key, RealServer::masqueraded(key))].into() }
}

#[test]
fn a_mark_of_somebody_elses_virtual_server_is_never_taken() {
    let view = local().mark(vip(1)).unwrap();
    // Known before, or only met when ours was to be made.
    for is_known in [true, false] {
        let mut node = Node::new(settings());
        node.kernel.virtual_servers.insert(view, somebody_elses(view));
        if is_known {
            node.reconciler.observe_virtual_server(view, Some(&somebody_elses(view).server));
        }
        node.reconciler.apply_service(service(1, TrafficPolicy::Local));
        node.reconciler.apply_slice(&slice(1, &[(1, true), (2, false)]));
        node.sync();
        while let Some(due) = node.reconciler.next_retry() {
            node.now = due;
            node.sync();
        }
        let other = node.mark(vip(1)).unwrap();
        assert_ne!(other, view);
        assert_eq!(node.hosts(other), [1, 2]);
        assert_eq!(node.kernel.virtual_servers[&view], somebody_elses(view));
        node.reconciler.delete_service(&ObjectName::new("n", "service-1"));
        node.reconciler.delete_slice(&ObjectName::new("n", "service-1"));
        node.sync();
        node.kernel.virtual_servers.remove(&view).unwrap();
        assert_eq!(node.kernel, KernelState::default());
    }
}

#[test]
fn a_service_has_the_same_mark_on_every_node_and_for_both_families() {
    let marks = |numbers: &mut dyn Iterator<Item = u8>| -> Vec<Option<Frontend>> {
        let mut node = Node::new(settings());
        for number in numbers {
            node.reconciler.apply_service(service(number, TrafficPolicy::Local));
        }
        node.sync();
        (1..=9).map(|number| node.mark(vip(number))).collect()
    };
    assert_eq!(marks(&mut (1..=9)), marks(&mut (1..=9).rev()));
    let mut node = Node::new(settings());
    let mut dual = service(1, TrafficPolicy::Local);
    dual.cluster_ips.push("fd00:96::1".parse().unwrap());
    dual.load_balancer_ips.push("2001:db8::1".parse().unwrap());
    node.reconciler.apply_service(dual);
    node.sync();
    let Some(Frontend::Mark { mark, .. }) = node.mark(vip(1)) else { panic!() };
    let six = node.mark("2001:db8::1".parse().unwrap());
    assert_eq!(six, Some(Frontend::Mark { mark, family: Family::V6 }));
}

#[test]
fn clients_inside_are_kept_with_their_endpoints_by_a_hash_of_their_addresses() {
    let mut node = Node::new(settings());
    let sticky = Service { affinity: Some(600), ..service(1, TrafficPolicy::Local) };
    node.reconciler.apply_service(sticky);
    node.sync();
    let server = &node.kernel.virtual_servers[&node.mark(vip(1)).unwrap()].server;
    assert_eq!(server.persistence, None, "it would not translate the port");
    assert_eq!(server.scheduler, Scheduler::MaglevHashing);
    assert_eq!(server.flags, VirtualServerFlags::empty());
    assert!(node.kernel.virtual_servers[&at(vip(1))].server.persistence.is_some());
}

#[test]
fn real_servers_of_a_view_drain_as_the_protocol_of_its_frontends_says() {
    for (protocol, drains) in
        [(Protocol::Tcp, true), (Protocol::Udp, false), (Protocol::Sctp, false)]
    {
        let mut node = Node::new(settings());
        let mut of_protocol = service(1, TrafficPolicy::Local);
        of_protocol.ports[0].protocol = protocol;
        let slice = |hosts: &[(u8, bool)]| {
            let mut slice = slice(1, hosts);
            slice.ports[0].protocol = protocol;
            slice
        };
        node.reconciler.apply_service(of_protocol);
        node.reconciler.apply_slice(&slice(&[(1, true), (2, false)]));
        node.sync();
        let view = node.mark(vip(1)).unwrap();
        node.reconciler.apply_slice(&slice(&[(1, true)]));
        node.sync();
        let left = node.kernel.virtual_servers[&view].real_servers.len();
        assert_eq!(left, if drains { 2 } else { 1 }, "{protocol}");
    }
}

#[test]
fn a_view_lives_as_long_as_its_service_has_one_of_the_frontends() {
    let mut node = local();
    let view = node.mark(vip(1)).unwrap();
    // An older Service has the VIP.
    let older = Service {
        created: -1,
        load_balancer_ips: vec![vip(1)],
        ..service(2, TrafficPolicy::Local)
    };
    node.reconciler.apply_service(older);
    node.sync();
    node.connections(0);
    node.sync();
    let other = node.mark(vip(1)).unwrap();
    assert_ne!(other, view);
    assert!(!node.kernel.virtual_servers.contains_key(&view));
    node.reconciler.delete_service(&service(2, TrafficPolicy::Local).name);
    node.sync();
    assert_eq!(node.mark(vip(1)), Some(view));
    assert_eq!(node.hosts(view), [1, 2]);
    let marks = node.kernel.elements.iter().filter(|(set, _)| set.kind == SetKind::Marks);
    assert_eq!(marks.count(), 1);
}
