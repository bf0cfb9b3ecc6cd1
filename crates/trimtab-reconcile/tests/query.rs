//! Questions about what is programmed have answers of bounded size.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, ObjectName, Service, ServicePort, ServiceType,
    SlicePort, TrafficPolicy,
};
use trimtab_core::{Family, Frontend, MarkRange, Protocol};
use trimtab_reconcile::{
    Answer, KernelState, Query, QueryOf, Reason, Reconciler, Settings, execute,
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
        let endpoint = |host| Endpoint {
            address: [10, 244, number, host].into(),
            conditions: Conditions::default(),
            node: Some("there".into()),
            hints: Hints::default(),
        };
        reconciler.apply_slice(&EndpointSlice {
            name: name(number),
            service: name(number),
            family: Family::V4,
            ports: vec![SlicePort { name: "".into(), protocol: Protocol::Tcp, port: 8080 }],
            endpoints: vec![endpoint(1), endpoint(2)],
            weight: None,
        });
    }
    reconciler
}

fn program(reconciler: &mut Reconciler) {
    let mut kernel = KernelState::default();
    while !reconciler.is_idle() {
        let plan = reconciler.plan(Duration::ZERO, 1000);
        let report = execute(&plan, &mut kernel);
        reconciler.take_report(&plan, &report, Duration::ZERO);
    }
}

fn ask(reconciler: &Reconciler, of: QueryOf, limit: usize) -> Answer {
    let answer = reconciler.answer(&Query { of, limit });
    let rows: usize = answer.services.iter().map(trimtab_reconcile::ServiceStatus::rows).sum();
    assert!(rows <= limit.max(1), "{rows} rows where {limit} were asked for");
    answer
}

fn names(answer: &Answer) -> Vec<ObjectName> {
    answer.services.iter().map(|status| status.service.clone()).collect()
}

#[test]
fn a_service_is_told_with_its_frontends_real_servers_and_problems() {
    let mut reconciler = reconciler();
    let before = ask(&reconciler, QueryOf::Service(name(1)), 100);
    assert!(before.services[0].pending);
    assert!(before.services[0].frontends.iter().all(|frontend| !frontend.present));
    program(&mut reconciler);
    let answer = ask(&reconciler, QueryOf::Service(name(1)), 100);
    assert!(!answer.more);
    let [status] = &answer.services[..] else { panic!("{answer:?}") };
    assert!(!status.pending && status.problems.is_empty() && status.left_out == 0);
    let [cluster_ip, vip, inside] = &status.frontends[..] else { panic!("{status:?}") };
    assert_eq!(
        (cluster_ip.kind, vip.kind, inside.kind),
        ("cluster IP", "load-balancer IP", "inside")
    );
    assert!(status.frontends.iter().all(|frontend| frontend.present));
    let counts = [cluster_ip, vip, inside].map(|it| (it.real_servers.len(), it.real_server_count));
    assert_eq!(counts, [(2, 2), (0, 0), (2, 2)]);
    assert!(inside.real_servers.iter().all(|it| it.wanted == Some(1) && it.present == Some(1)));
    let Frontend::Mark { mark, .. } = inside.frontend else { panic!("{inside:?}") };
    assert_eq!((cluster_ip.inside, vip.inside), (None, Some(mark)));
    // A younger Service asks for the same VIP.
    let other = ask(&reconciler, QueryOf::Service(name(2)), 100);
    let [status] = &other.services[..] else { panic!("{other:?}") };
    assert_eq!(status.problems[0].reason, Reason::FrontendConflict);
    assert_eq!(status.frontends[1].held_by, Some(name(1)));
    assert!(!status.frontends[1].present);
    assert_eq!(ask(&reconciler, QueryOf::Service(name(77)), 100), Answer::default());
}

#[test]
fn page_after_page_tells_of_every_service_once() {
    let mut reconciler = reconciler();
    program(&mut reconciler);
    let all = ask(&reconciler, QueryOf::All, 1000);
    assert_eq!(names(&all), (1..=9).map(name).collect::<Vec<_>>());
    for limit in [0, 1, 2, 7, 20] {
        let mut told = Vec::new();
        let mut of = QueryOf::All;
        loop {
            let answer = ask(&reconciler, of, limit);
            told.extend(names(&answer));
            let Some(last) = told.last().filter(|_| answer.more) else { break };
            of = QueryOf::After(last.clone());
        }
        assert_eq!(told, names(&all), "{limit}");
    }
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut reconciler = reconciler();
    program(&mut reconciler);
    let answer = ask(&reconciler, QueryOf::Service(name(1)), 3);
    let [status] = &answer.services[..] else { panic!("{answer:?}") };
    assert_eq!((status.frontends.len(), status.left_out), (1, 2));
    let shown = &status.frontends[0];
    assert_eq!((shown.real_servers.len(), shown.real_server_count), (1, 2));
}
