//! Every reason for which an endpoint is in or out, and for which a frontend is somebody else's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, NodeObject, ObjectName, Service, ServicePort,
    ServiceType, SlicePort, TrafficPolicy,
};
use trimtab_core::{Family, MarkRange, Protocol, SetKind};
use trimtab_reconcile::{
    EndpointExplanation, Explanation, FrontendKind, InsideView, KernelState, Place, Precedence,
    Query, Reconciler, Select, Settings, Topology, Verdict, execute,
};

const NAME: &str = "web";

fn name(name: &str) -> ObjectName {
    ObjectName::new("n", name)
}

fn service(own: &str, cluster_ip: u8) -> Service {
    Service {
        kind: ServiceType::LoadBalancer,
        cluster_ips: vec![[10, 96, 0, cluster_ip].into()],
        external_policy: TrafficPolicy::Local,
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 0,
        }],
        ..Service::new(name(own))
    }
}

/// An endpoint from words: its last byte, its node, `R`eady `S`erving `T`erminating, and hints for nodes
/// (`n:`) and zones (`z:`).
fn endpoint(text: &str) -> Endpoint {
    let mut words = text.split(' ');
    let host: u8 = words.next().unwrap().parse().unwrap();
    let node = words.next().unwrap();
    let letters = words.next().unwrap();
    let has = |letter| letters.contains(letter);
    let mut hints = Hints::default();
    for hint in words {
        match hint.split_once(':').unwrap() {
            ("n", node) => hints.nodes.push(node.into()),
            (_, zone) => hints.zones.push(zone.into()),
        }
    }
    Endpoint {
        address: [10, 244, 0, host].into(),
        conditions: Conditions { ready: has('R'), serving: has('S'), terminating: has('T') },
        node: Some(node.into()),
        hints,
    }
}

fn slice(port: &str, endpoints: &[&str]) -> EndpointSlice {
    EndpointSlice {
        name: name(&format!("{NAME}-{port}")),
        service: name(NAME),
        family: Family::V4,
        ports: vec![SlicePort { name: port.into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
        weight: None,
    }
}

fn reconciler() -> Reconciler {
    let settings = Settings { marks: Some(MarkRange::DEFAULT), ..Settings::new("here") };
    let mut reconciler = Reconciler::new(settings);
    reconciler.apply_node(NodeObject { zone: Some("a".into()), ..NodeObject::default() });
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

fn explained(endpoints: &[&str]) -> Explanation {
    let mut reconciler = reconciler();
    reconciler.apply_service(service(NAME, 1));
    reconciler.apply_slice(&slice("http", endpoints));
    program(&mut reconciler);
    reconciler.explain(&name(NAME), 0, 1000).unwrap()
}

/// Endpoints, and for each of them whether it answers under the policies Cluster and Local, and why.
type Case = (Topology, &'static [(&'static str, Verdict, Verdict)]);

const CASES: &[Case] = &[
    (
        Topology::NoHints,
        &[
            ("1 here RS", Verdict::Ready, Verdict::ReadyHere),
            ("2 there RS", Verdict::Ready, Verdict::NotHere),
            ("3 here S", Verdict::NotReady, Verdict::NotReady),
            ("4 here ST", Verdict::Terminating, Verdict::Terminating),
            ("5 here T", Verdict::Terminated, Verdict::Terminated),
            ("6 there T", Verdict::Terminated, Verdict::NotHere),
        ],
    ),
    // None is ready here, but one is elsewhere.
    (
        Topology::NoHints,
        &[
            ("1 here ST", Verdict::Terminating, Verdict::LastServingHere),
            ("2 here T", Verdict::Terminated, Verdict::Terminated),
            ("3 there RS", Verdict::Ready, Verdict::NotHere),
        ],
    ),
    (
        Topology::NoneReady,
        &[
            ("1 here ST z:b", Verdict::LastServing, Verdict::LastServingHere),
            ("2 there ST", Verdict::LastServing, Verdict::NotHere),
            ("3 here -", Verdict::NotReady, Verdict::NotReady),
            ("4 here T", Verdict::Terminated, Verdict::Terminated),
        ],
    ),
    (
        Topology::SameZone,
        &[
            ("1 there RS z:a", Verdict::HintedForZone, Verdict::NotHere),
            ("2 here RS z:b", Verdict::HintedForOtherZones, Verdict::ReadyHere),
            ("3 there - z:a", Verdict::NotReady, Verdict::NotHere),
        ],
    ),
    (
        Topology::SameNode,
        &[
            ("1 here RS n:here z:a", Verdict::HintedForNode, Verdict::ReadyHere),
            ("2 there RS n:there z:a", Verdict::HintedForOtherNodes, Verdict::NotHere),
        ],
    ),
    (
        Topology::SomeWithoutHint,
        &[
            ("1 here RS z:a", Verdict::Ready, Verdict::ReadyHere),
            ("2 there RS", Verdict::Ready, Verdict::NotHere),
        ],
    ),
    (
        Topology::NoneForHere,
        &[
            ("1 here RS z:b", Verdict::Ready, Verdict::ReadyHere),
            ("2 there RS z:c", Verdict::Ready, Verdict::NotHere),
        ],
    ),
];

#[test]
fn every_reason_of_an_endpoint_is_the_one_that_decided() {
    let mut seen = BTreeSet::new();
    for (topology, endpoints) in CASES {
        let words: Vec<&str> = endpoints.iter().map(|(words, ..)| *words).collect();
        let explanation = explained(&words);
        let [port] = &explanation.ports[..] else { panic!("{explanation:?}") };
        assert_eq!(port.topology, *topology, "{words:?}");
        let told: Vec<_> = port.endpoints.iter().map(|it| (it.cluster, it.local)).collect();
        let wanted: Vec<_> = endpoints.iter().map(|(_, one, other)| (*one, *other)).collect();
        assert_eq!(told, wanted, "{words:?}");
        seen.extend(told.into_iter().flat_map(|(one, other)| [one, other]));
    }
    assert_eq!(seen, Verdict::ALL.into_iter().collect(), "all reasons are in the table");
}

#[test]
fn what_is_explained_is_what_is_programmed() {
    for (_, endpoints) in CASES {
        let words: Vec<&str> = endpoints.iter().map(|(words, ..)| *words).collect();
        let mut reconciler = reconciler();
        let vip: IpAddr = [203, 0, 113, 1].into();
        reconciler.apply_service(Service { load_balancer_ips: vec![vip], ..service(NAME, 1) });
        reconciler.apply_slice(&slice("http", &words));
        program(&mut reconciler);
        let explanation = reconciler.explain(&name(NAME), 0, 1000).unwrap();
        let query =
            Query { select: Select::Service(name(NAME)), from: Place::default(), limit: 1000 };
        let status = &reconciler.answer(&query).services[0];
        for (frontend, told) in status.frontends.iter().zip(&explanation.frontends) {
            assert_eq!((frontend.frontend, frontend.policy), (told.frontend, told.policy));
            let verdict = |it: &EndpointExplanation| match told.policy {
                TrafficPolicy::Cluster => it.cluster,
                TrafficPolicy::Local => it.local,
            };
            let answering = explanation.ports[0].endpoints.iter().filter(|it| verdict(it).is_in());
            let answering: Vec<_> = answering.map(|it| it.key).collect();
            let programmed: Vec<_> = frontend.real_servers.iter().map(|it| it.key).collect();
            assert_eq!(answering, programmed, "{words:?} at {}", frontend.frontend);
        }
    }
}

#[test]
fn endpoints_are_told_with_what_the_reasons_are_about() {
    let explanation = explained(&["1 there RS n:x z:b z:c", "2 here T"]);
    assert_eq!((&*explanation.node, explanation.zone.as_deref()), ("here", Some("a")));
    let [first, second] = &explanation.ports[0].endpoints[..] else { panic!("{explanation:?}") };
    assert_eq!(first.node.as_deref(), Some("there"));
    assert_eq!(first.hints.zones, ["b".into(), "c".into()]);
    assert_eq!(first.hints.nodes, ["x".into()]);
    assert_eq!(first.weight, 1);
    let gone = Conditions { ready: false, serving: false, terminating: true };
    assert_eq!(second.conditions, gone);
}

#[test]
fn a_port_that_no_slice_has_and_one_that_the_service_lacks_are_told() {
    let mut reconciler = reconciler();
    reconciler.apply_service(service(NAME, 1));
    reconciler.apply_slice(&slice("web", &["1 here RS"]));
    let explanation = reconciler.explain(&name(NAME), 0, 1000).unwrap();
    let [port] = &explanation.ports[..] else { panic!("{explanation:?}") };
    assert_eq!((&*port.port.name, port.slices, port.endpoint_count), ("http", 0, 0));
    let [other] = &explanation.other_ports[..] else { panic!("{explanation:?}") };
    assert_eq!((&*other.name, other.protocol), ("web", Protocol::Tcp));
    assert_eq!(reconciler.explain(&name("nobody"), 0, 1000), None);
}

#[test]
fn a_frontend_of_another_service_is_told_with_the_reason() {
    let vip: IpAddr = [203, 0, 113, 1].into();
    let mut reconciler = reconciler();
    reconciler.apply_service(Service {
        load_balancer_ips: vec![vip],
        created: 1,
        ..service("old", 1)
    });
    reconciler.apply_service(Service {
        load_balancer_ips: vec![vip],
        created: 2,
        ..service("new", 2)
    });
    let outside = Service { external_ips: vec![vip], created: 0, ..service("outside", 3) };
    reconciler.apply_service(outside);
    program(&mut reconciler);
    let frontend = |own: &str| {
        let explanation = reconciler.explain(&name(own), 0, 1000).unwrap();
        let mut all = explanation.frontends.into_iter();
        all.find(|it| it.frontend.address() == Some(vip)).unwrap()
    };
    let holder = frontend("old");
    assert_eq!((holder.held, holder.binds), (None, true));
    assert_eq!(holder.refused_to, ["new", "outside"].map(name));
    assert!(holder.elements.iter().any(|(set, _)| set.kind == SetKind::LoadBalancerLocal));
    assert!(matches!(holder.inside, InsideView::Mark(_)));
    for (own, because) in [("new", Precedence::Older), ("outside", Precedence::StrongerKind)] {
        let refused = frontend(own);
        let held = refused.held.unwrap();
        assert_eq!((held.by, held.kind), (name("old"), FrontendKind::LoadBalancer));
        assert_eq!(held.because, because);
        assert!(refused.elements.is_empty() && refused.refused_to.is_empty() && !refused.binds);
    }
}

#[test]
fn an_explanation_is_told_in_parts() {
    let endpoints: Vec<String> = (1..=20).map(|host| format!("{host} here RS")).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let mut reconciler = reconciler();
    reconciler.apply_service(service(NAME, 1));
    reconciler.apply_slice(&slice("http", &endpoints));
    program(&mut reconciler);
    let whole = reconciler.explain(&name(NAME), 0, 1000).unwrap();
    assert_eq!((whole.frontends.len(), whole.ports[0].endpoints.len(), whole.next), (1, 20, None));
    for limit in [0, 1, 7] {
        let mut from = Some(0);
        let (mut frontends, mut told) = (Vec::new(), Vec::new());
        while let Some(place) = from {
            let part = reconciler.explain(&name(NAME), place, limit).unwrap();
            let rows = part.frontends.len() + part.ports[0].endpoints.len();
            assert!(rows <= limit.max(1), "{rows}");
            frontends.extend(part.frontends);
            told.extend(part.ports[0].endpoints.clone());
            from = part.next;
        }
        assert_eq!((&frontends, &told), (&whole.frontends, &whole.ports[0].endpoints), "{limit}");
    }
}
