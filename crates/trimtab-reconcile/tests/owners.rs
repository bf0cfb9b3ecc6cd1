//! Whose the virtual servers are, told once for each change of that.

use trimtab_core::objects::{
    ObjectName, Service, ServicePort, ServiceType, TrafficMetrics, TrafficPolicy,
};
use trimtab_core::{Frontend, MarkRange, Protocol};
use trimtab_reconcile::{KernelState, Owner, Reconciler, Settings, execute};

const SHARED: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));

fn service(number: u8) -> Service {
    Service {
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
        ..Service::new(ObjectName::new("n", &format!("service-{number}")))
    }
}

fn reconciler(owners: bool) -> Reconciler {
    let marks = Some(MarkRange::DEFAULT);
    let mut reconciler = Reconciler::new(Settings { marks, owners, ..Settings::new("here") });
    for number in 1..=3 {
        reconciler.apply_service(service(number));
    }
    program(&mut reconciler);
    reconciler
}

fn program(reconciler: &mut Reconciler) {
    let mut kernel = KernelState::default();
    while !reconciler.is_idle() {
        let plan = reconciler.plan(std::time::Duration::ZERO, 100);
        let report = execute(&plan, &mut kernel);
        reconciler.take_report(&plan, &report, std::time::Duration::ZERO);
    }
}

fn owner(number: u8, metrics: TrafficMetrics) -> Owner {
    Owner { service: service(number).name, port: "80".into(), protocol: Protocol::Tcp, metrics }
}

/// In order.
fn taken(reconciler: &mut Reconciler) -> Vec<(Frontend, Option<Owner>)> {
    let mut taken = reconciler.take_owners();
    taken.sort_unstable_by_key(|(frontend, _)| *frontend);
    taken
}

fn own(number: u8) -> Frontend {
    Frontend::new(Protocol::Tcp, [10, 96, 0, number].into(), 80)
}

fn shared() -> Frontend {
    Frontend::new(Protocol::Tcp, SHARED, 80)
}

#[test]
fn each_change_of_an_owner_is_told_once_and_nothing_else() {
    let mut reconciler = reconciler(true);
    let all = taken(&mut reconciler);
    // Three cluster IPs, the VIP that the oldest has, and the mark of its view for clients inside.
    assert_eq!(all.len(), 5);
    let of = |frontend: Frontend| all.iter().find(|(one, _)| *one == frontend).unwrap().1.clone();
    for number in 1..=3 {
        assert_eq!(of(own(number)), Some(owner(number, TrafficMetrics::Configured)));
    }
    assert_eq!(of(shared()), Some(owner(1, TrafficMetrics::Configured)));
    let (mark, view) = all.iter().find(|(one, _)| matches!(one, Frontend::Mark { .. })).unwrap();
    assert_eq!(*view, Some(owner(1, TrafficMetrics::Configured)), "{mark}");
    assert_eq!(taken(&mut reconciler), []);

    // Nothing that concerns owners.
    let mut changed = service(2);
    changed.tuning.max_connections = 7;
    changed.source_ranges = Some(Vec::new());
    reconciler.apply_service(changed.clone());
    program(&mut reconciler);
    let told = taken(&mut reconciler);
    assert!(told.iter().all(|(_, it)| *it == Some(owner(2, TrafficMetrics::Configured))));

    // What the Service asks for, without any change for the kernel.
    changed.tuning.traffic_metrics = TrafficMetrics::Endpoints;
    reconciler.apply_service(changed);
    assert!(taken(&mut reconciler).contains(&(own(2), Some(owner(2, TrafficMetrics::Endpoints)))));

    // The holder of the VIP goes, the next takes over.
    reconciler.delete_service(&service(1).name);
    let told = taken(&mut reconciler);
    assert!(told.contains(&(own(1), None)), "{told:?}");
    assert!(told.contains(&(*mark, None)), "{told:?}");
    assert!(told.contains(&(shared(), Some(owner(2, TrafficMetrics::Endpoints)))), "{told:?}");
}

#[test]
fn nothing_is_kept_where_nobody_asks() {
    assert_eq!(taken(&mut reconciler(false)), []);
}
