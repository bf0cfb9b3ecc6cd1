//! How much work a change is, counted in operations.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::objects::{
    Conditions, Endpoint, EndpointSlice, Hints, ObjectName, Service, ServicePort, SlicePort,
};
use trimtab_core::{Family, Protocol};
use trimtab_reconcile::{Action, KernelState, Plan, Reconciler, Settings, execute};

fn service(number: u16) -> Service {
    let [high, low] = number.to_be_bytes();
    Service {
        cluster_ips: vec![IpAddr::from([10, 96, high, low])],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 0,
        }],
        ..Service::new(ObjectName::new("default", &format!("service-{number}")))
    }
}

fn slice(number: u16, part: u8, hosts: impl IntoIterator<Item = u8>) -> EndpointSlice {
    let [high, low] = number.to_be_bytes();
    EndpointSlice {
        name: ObjectName::new("default", &format!("service-{number}-{part}")),
        service: ObjectName::new("default", &format!("service-{number}")),
        family: Family::V4,
        ports: vec![SlicePort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
        endpoints: hosts
            .into_iter()
            .map(|host| Endpoint {
                address: IpAddr::from([10 + part, high, low, host]),
                conditions: Conditions::default(),
                node: Some("elsewhere".into()),
                hints: Hints::default(),
            })
            .collect(),
        weight: None,
    }
}

/// Plans and carries out everything; returns the plans.
fn program(reconciler: &mut Reconciler, kernel: &mut KernelState) -> Vec<Plan> {
    let mut plans = Vec::new();
    loop {
        let plan = reconciler.plan(Duration::ZERO, 4096);
        if plan.is_empty() && reconciler.is_idle() {
            return plans;
        }
        let report = execute(&plan, kernel);
        assert!(report.is_success());
        reconciler.take_report(&plan, &report, Duration::ZERO);
        plans.push(plan);
    }
}

#[test]
fn one_endpoint_more_in_one_of_1000_services_is_one_operation() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    let mut kernel = KernelState::default();
    for number in 0..1000 {
        reconciler.apply_service(service(number));
        reconciler.apply_slice(&slice(number, 0, 0..10));
    }
    let plans = program(&mut reconciler, &mut kernel);
    let operations: usize = plans.iter().map(Plan::len).sum();
    // For each Service: a virtual server, ten real servers, an address, two set elements.
    assert_eq!(operations, 1000 * (1 + 10 + 1 + 2));
    reconciler.apply_slice(&slice(500, 0, 0..11));
    let plans = program(&mut reconciler, &mut kernel);
    let actions: Vec<_> = plans.iter().flat_map(Plan::operations).map(|o| &o.action).collect();
    assert!(matches!(actions[..], [Action::AddRealServer(..)]), "{actions:?}");
}

#[test]
fn a_nodes_weight_is_one_operation_for_each_endpoint_there() {
    let settings = Settings { node_weights: true, ..Settings::new("here") };
    let mut reconciler = Reconciler::new(settings);
    let mut kernel = KernelState::default();
    for number in 0..1000 {
        let mut slice = slice(number, 0, 0..10);
        if number == 500 {
            slice.endpoints[3].node = Some("weighty".into());
            slice.endpoints[4].node = Some("weighty".into());
        }
        reconciler.apply_service(service(number));
        reconciler.apply_slice(&slice);
    }
    program(&mut reconciler, &mut kernel);
    let mut weights = |weight| {
        reconciler.set_node_weight("weighty", weight);
        let backlog = reconciler.backlog();
        let plans = program(&mut reconciler, &mut kernel);
        let operations = plans.iter().flat_map(Plan::operations);
        let set = operations.map(|operation| match operation.action {
            Action::SetRealServer(_, server) => server.weight,
            ref other => panic!("{other}"),
        });
        (backlog, set.collect::<Vec<_>>())
    };
    assert_eq!(weights(Some(5)), (1, vec![5, 5]));
    assert_eq!(weights(Some(5)), (0, vec![]));
    assert_eq!(weights(None), (1, vec![1, 1]));
}

#[test]
fn the_same_objects_again_are_no_operation() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    let mut kernel = KernelState::default();
    for _ in 0..2 {
        reconciler.apply_service(service(1));
        reconciler.apply_slice(&slice(1, 0, 0..10));
        program(&mut reconciler, &mut kernel);
    }
    reconciler.apply_service(service(1));
    reconciler.apply_slice(&slice(1, 0, 0..10));
    assert!(reconciler.is_idle());
}

#[test]
fn a_rolling_update_of_1000_endpoints_costs_two_operations_each() {
    let mut settings = Settings::new("here");
    settings.drain_timeout = Duration::ZERO;
    let mut reconciler = Reconciler::new(settings);
    let mut kernel = KernelState::default();
    reconciler.apply_service(service(1));
    for part in 0..10 {
        reconciler.apply_slice(&slice(1, part, 0..100));
    }
    program(&mut reconciler, &mut kernel);
    let mut operations = 0;
    for part in 0..10 {
        for replaced in 1..=100 {
            // The new endpoint comes, then the old one goes.
            for first in [replaced - 1, replaced] {
                let hosts = first..100 + replaced;
                reconciler.apply_slice(&slice(1, part, hosts));
                let plans = program(&mut reconciler, &mut kernel);
                operations += plans.iter().map(Plan::len).sum::<usize>();
            }
        }
    }
    assert_eq!(operations, 2000);
    let server = kernel.virtual_servers.values().next().unwrap();
    assert_eq!(server.real_servers.len(), 1000);
}

#[test]
fn the_api_servers_and_dns_services_are_programmed_first() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    for number in 0..100 {
        reconciler.apply_service(service(number));
    }
    let mut dns = service(200);
    dns.name = ObjectName::new("kube-system", "kube-dns");
    dns.ports[0].port = 53;
    reconciler.apply_service(dns);
    let mut api = service(201);
    api.name = ObjectName::new("default", "kubernetes");
    reconciler.apply_service(api);
    let plan = reconciler.plan(Duration::ZERO, 2);
    let first: Vec<String> = plan
        .operations()
        .filter_map(|operation| operation.action.frontend())
        .map(|frontend| frontend.to_string())
        .collect();
    assert_eq!(first, ["TCP 10.96.0.200:53"]);
    let plan = reconciler.plan(Duration::ZERO, 2);
    assert!(plan.operations().any(|o| o.action.to_string().contains("10.96.0.201:80")));
}

#[test]
fn real_servers_are_added_in_an_order_of_the_nodes_own() {
    let order = |node: &str| -> Vec<String> {
        let mut reconciler = Reconciler::new(Settings::new(node));
        reconciler.apply_service(service(1));
        reconciler.apply_slice(&slice(1, 0, 0..20));
        let plan = reconciler.plan(Duration::ZERO, 100);
        plan.operations()
            .filter(|operation| matches!(operation.action, Action::AddRealServer(..)))
            .map(|operation| operation.action.to_string())
            .collect()
    };
    assert_eq!(order("a").len(), 20);
    assert_eq!(order("a"), order("a"));
    assert_ne!(order("a"), order("b"));
}

#[test]
fn services_of_local_policy_without_an_endpoint_here_are_counted() {
    let mut reconciler = Reconciler::new(Settings::new("here"));
    let local = |number| Service {
        internal_policy: trimtab_core::objects::TrafficPolicy::Local,
        ..service(number)
    };
    // With endpoints elsewhere only; with none at all; of another policy; with one here.
    reconciler.apply_service(local(1));
    reconciler.apply_slice(&slice(1, 0, [1, 2]));
    reconciler.apply_service(local(2));
    reconciler.apply_service(service(3));
    reconciler.apply_slice(&slice(3, 0, [1]));
    reconciler.apply_service(local(4));
    let mut here = slice(4, 0, [1, 2]);
    here.endpoints[0].node = Some("here".into());
    reconciler.apply_slice(&here);
    let counted = reconciler.without_local_endpoints(Family::V4);
    assert_eq!((counted.internal, counted.external), (1, 0));
    assert_eq!(reconciler.without_local_endpoints(Family::V6).internal, 0);
}
