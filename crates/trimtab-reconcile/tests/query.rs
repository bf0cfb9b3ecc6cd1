//! Questions about what is programmed have answers of bounded size.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, ObjectName, Service, ServicePort, ServiceType,
    SlicePort, TrafficPolicy,
};
use trimtab_core::{Family, Frontend, MarkRange, Protocol};
use trimtab_reconcile::{
    Action, Answer, Draining, FrontendKind, FrontendStatus, Kernel, KernelState, Phase, Place,
    Query, Reason, Reconciler, Refused, Select, ServiceStatus, Settings, execute,
};

const SHARED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));

fn name(number: u8) -> ObjectName {
    ObjectName::new("n", &format!("service-{number}"))
}

/// Nine Services, each with a cluster IP and the same VIP, and two endpoints.
fn reconciler() -> Reconciler {
    let settings = Settings { marks: Some(MarkRange::DEFAULT), ..Settings::new("here") };
    let mut reconciler = Reconciler::new(settings);
    for number in 1..=9 {
        reconciler.apply_service(Service {
            kind: ServiceType::LoadBalancer,
            cluster_ips: vec![[10, 96, 0, number].into()],
            load_balancer_ips: vec![SHARED],
            external_policy: TrafficPolicy::Local,
            ports: vec![ServicePort {
                name: "".into(),
                protocol: Protocol::Tcp,
                port: 80,
                node_port: 0,
            }],
            created: number.into(),
            ..Service::new(name(number))
        });
        reconciler.apply_slice(&slice(number, &[1, 2]));
    }
    reconciler
}

fn slice(number: u8, hosts: &[u8]) -> EndpointSlice {
    let endpoint = |host: &u8| Endpoint {
        address: [10, 244, number, *host].into(),
        conditions: Conditions::default(),
        node: Some("there".into()),
        hints: Hints::default(),
    };
    EndpointSlice {
        name: name(number),
        service: name(number),
        family: Family::V4,
        ports: vec![SlicePort { name: "".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: hosts.iter().map(endpoint).collect(),
        weight: None,
    }
}

fn program(reconciler: &mut Reconciler) {
    program_at(reconciler, &mut KernelState::default(), Duration::ZERO);
}

fn program_at(reconciler: &mut Reconciler, kernel: &mut impl Kernel, now: Duration) {
    while !reconciler.is_idle() {
        let plan = reconciler.plan(now, 1000);
        let report = execute(&plan, kernel);
        reconciler.take_report(&plan, &report, now);
    }
}

/// A kernel that refuses VIPs.
#[derive(Debug, Default)]
struct WithoutVips(KernelState);

impl Kernel for WithoutVips {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        if phase == Phase::Bind {
            return (0..actions.len()).map(|at| (at, Refused::Other("no room".into()))).collect();
        }
        self.0.apply(phase, actions)
    }
}

fn ask(reconciler: &Reconciler, select: Select, from: Place, limit: usize) -> Answer {
    let answer = reconciler.answer(&Query { select, from, limit });
    let rows: usize = answer.services.iter().map(ServiceStatus::rows).sum();
    assert!(rows <= limit.max(3), "{rows} rows where {limit} were asked for");
    answer
}

fn one(reconciler: &Reconciler, number: u8) -> ServiceStatus {
    let select = Select::Service(name(number));
    let mut answer = ask(reconciler, select, Place::default(), 100);
    assert_eq!(answer.next, None);
    assert_eq!(answer.services.len(), 1);
    answer.services.remove(0)
}

/// All pages of an answer, put together.
fn pages(reconciler: &Reconciler, select: &Select, limit: usize) -> Vec<ServiceStatus> {
    let mut told: Vec<ServiceStatus> = Vec::new();
    let mut from = Some(Place::default());
    while let Some(place) = from {
        let answer = ask(reconciler, select.clone(), place, limit);
        assert_ne!(answer.services, [], "a page that tells nothing");
        for status in answer.services {
            match told.last_mut().filter(|last| last.service == status.service) {
                None => told.push(status),
                Some(last) => join(&mut last.frontends, status.frontends),
            }
        }
        from = answer.next;
    }
    told
}

fn join(told: &mut Vec<FrontendStatus>, more: Vec<FrontendStatus>) {
    for frontend in more {
        match told.last_mut().filter(|last| last.frontend == frontend.frontend) {
            None => told.push(frontend),
            Some(last) => last.real_servers.extend(frontend.real_servers),
        }
    }
}

fn names(services: &[ServiceStatus]) -> Vec<ObjectName> {
    services.iter().map(|status| status.service.clone()).collect()
}

#[test]
fn a_service_is_told_with_its_frontends_real_servers_and_problems() {
    let mut reconciler = reconciler();
    let before = one(&reconciler, 1);
    assert!(before.pending && before.changed.is_none());
    assert!(before.frontends.iter().all(|frontend| !frontend.present));
    let now = Duration::from_secs(7);
    program_at(&mut reconciler, &mut KernelState::default(), now);
    let status = one(&reconciler, 1);
    assert!(!status.pending && status.problems.is_empty() && status.failure.is_none());
    assert_eq!((status.retrying, status.changed), (0, Some(now)));
    let [cluster_ip, vip, inside] = &status.frontends[..] else { panic!("{status:?}") };
    assert_eq!(
        [cluster_ip, vip, inside].map(|frontend| (frontend.kind, frontend.policy)),
        [
            (FrontendKind::ClusterIp, TrafficPolicy::Cluster),
            (FrontendKind::LoadBalancer, TrafficPolicy::Local),
            (FrontendKind::Inside, TrafficPolicy::Cluster),
        ]
    );
    assert!(status.frontends.iter().all(|frontend| frontend.present));
    let counts = [cluster_ip, vip, inside].map(|it| (it.real_servers.len(), it.real_server_count));
    assert_eq!(counts, [(2, 2), (0, 0), (2, 2)]);
    assert!(inside.real_servers.iter().all(|it| it.wanted == Some(1) && it.present == Some(1)));
    let Frontend::Mark { mark, .. } = inside.frontend else { panic!("{inside:?}") };
    assert_eq!((cluster_ip.inside, vip.inside), (None, Some(mark)));
    // A younger Service asks for the same VIP.
    let status = one(&reconciler, 2);
    assert_eq!(status.problems[0].reason, Reason::FrontendConflict);
    assert_eq!(status.frontends[1].held_by, Some(name(1)));
    assert!(!status.frontends[1].present);
    let nobody = ask(&reconciler, Select::Service(name(77)), Place::default(), 100);
    assert_eq!(nobody, Answer::default());
}

#[test]
fn page_after_page_tells_everything_once() {
    let mut reconciler = reconciler();
    reconciler.apply_slice(&slice(4, &(1..=50).collect::<Vec<u8>>()));
    program(&mut reconciler);
    let all = ask(&reconciler, Select::All, Place::default(), 1000);
    assert_eq!((names(&all.services), all.next), ((1..=9).map(name).collect(), None));
    for limit in [0, 3, 4, 5, 7, 20, 60] {
        assert_eq!(pages(&reconciler, &Select::All, limit), all.services, "{limit}");
    }
}

#[test]
fn a_page_goes_on_at_the_next_service_where_its_own_is_gone() {
    let mut reconciler = reconciler();
    program(&mut reconciler);
    let from = Place { service: Some(name(3)), frontends: 1, real_servers: 1 };
    reconciler.delete_service(&name(3));
    let answer = ask(&reconciler, Select::All, from, 1000);
    assert_eq!(names(&answer.services), (4..=9).map(name).collect::<Vec<_>>());
    assert_eq!(answer.services[0].frontends.len(), 3, "from its first one");
}

#[test]
fn services_are_found_by_namespace_and_by_address_with_all_that_ask_for_it() {
    let mut reconciler = reconciler();
    program(&mut reconciler);
    let found = |select| names(&pages(&reconciler, &select, 5));
    assert_eq!(found(Select::Address { address: SHARED, port: Some(80) }).len(), 9);
    assert_eq!(found(Select::Address { address: SHARED, port: None }).len(), 9);
    let address = [10, 96, 0, 5].into();
    for port in [None, Some(80)] {
        assert_eq!(found(Select::Address { address, port }), [name(5)]);
    }
    let none = |select| ask(&reconciler, select, Place::default(), 5).services.is_empty();
    assert!(none(Select::Address { address, port: Some(81) }));
    assert!(none(Select::Namespace("other".into())));
    assert_eq!(found(Select::Namespace("n".into())).len(), 9);
}

#[test]
fn a_real_server_that_drains_is_told_with_its_time() {
    let mut reconciler = reconciler();
    let mut kernel = KernelState::default();
    program_at(&mut reconciler, &mut kernel, Duration::ZERO);
    reconciler.apply_slice(&slice(5, &[2]));
    let now = Duration::from_secs(100);
    program_at(&mut reconciler, &mut kernel, now);
    let status = one(&reconciler, 5);
    assert_eq!(status.changed, Some(now));
    let [leaving, staying] = &status.frontends[0].real_servers[..] else { panic!("{status:?}") };
    let until = now + reconciler.settings().drain_timeout;
    assert_eq!(leaving.draining, Some(Draining { since: now, until }));
    assert_eq!((leaving.wanted, leaving.present), (None, Some(0)));
    assert_eq!((staying.draining, staying.present), (None, Some(1)));
}

#[test]
fn the_last_failure_is_told_also_when_it_is_over() {
    let mut reconciler = reconciler();
    let mut kernel = WithoutVips::default();
    let now = Duration::from_secs(3);
    program_at(&mut reconciler, &mut kernel, now);
    let status = one(&reconciler, 5);
    let failure = status.failure.unwrap();
    assert_eq!((failure.at, &*failure.message), (now, "cannot bind 10.96.0.5: no room"));
    assert_eq!((status.retrying, status.changed), (1, Some(now)), "all but the VIP was done");
    let later = now + Duration::from_secs(10);
    let plan = reconciler.plan(later, 1000);
    let report = execute(&plan, &mut kernel.0);
    reconciler.take_report(&plan, &report, later);
    let status = one(&reconciler, 5);
    assert_eq!((status.retrying, status.changed), (0, Some(later)));
    assert_eq!(status.failure.map(|failure| failure.at), Some(now));
}
