//! What Services are told that they do not get, and when that ends.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::Protocol;
use trimtab_core::objects::{ObjectName, Service, ServicePort};
use trimtab_reconcile::{
    Action, Kernel, KernelState, Phase, Reason, Reconciler, Refused, Settings, execute,
};

/// The greater `created`, the younger.
fn service(name: &str, created: i64, external: &str) -> Service {
    let last = u8::try_from(created).expect("a small number");
    Service {
        uid: format!("uid-{name}").into(),
        created,
        cluster_ips: vec![IpAddr::from([10, 96, 0, last])],
        external_ips: vec![external.parse().expect("an address")],
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: 0,
        }],
        ..Service::new(ObjectName::new("n", name))
    }
}

/// The Services whose problems changed, each with what it has now.
fn taken(reconciler: &mut Reconciler) -> Vec<(String, Vec<Reason>)> {
    let taken = reconciler.take_problems().into_iter();
    taken
        .map(|problems| {
            let reasons = problems.found.iter().map(|problem| problem.reason).collect();
            (problems.service.name().to_owned(), reasons)
        })
        .collect()
}

fn told(name: &str, reasons: &[Reason]) -> (String, Vec<Reason>) {
    (name.to_owned(), reasons.to_vec())
}

#[test]
fn a_refused_address_is_told_until_it_is_gone() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    reconciler.apply_service(service("web", 1, "127.0.0.9"));
    let problems = reconciler.take_problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(&*problems[0].uid, "uid-web");
    assert!(problems[0].found[0].message.contains("127.0.0.9"));
    reconciler.apply_service(service("web", 1, "127.0.0.9"));
    assert_eq!(taken(&mut reconciler), [], "nothing changed");
    reconciler.apply_service(service("web", 1, "192.0.2.1"));
    assert_eq!(taken(&mut reconciler), [told("web", &[])]);
}

#[test]
fn the_younger_of_two_is_told_whichever_came_first_and_no_longer_when_it_has_its_way() {
    for order in [["old", "young"], ["young", "old"]] {
        let mut reconciler = Reconciler::new(Settings::new("node"));
        for name in order {
            let created = if name == "old" { 1 } else { 2 };
            reconciler.apply_service(service(name, created, "192.0.2.1"));
        }
        assert_eq!(taken(&mut reconciler), [told("young", &[Reason::FrontendConflict])]);
        reconciler.delete_service(&ObjectName::new("n", "old"));
        assert_eq!(taken(&mut reconciler), [told("young", &[])]);
    }
}

#[test]
fn an_older_external_ip_never_has_anothers_cluster_ip() {
    let victim = Service {
        cluster_ips: vec!["10.96.0.200".parse().expect("an address")],
        ..service("victim", 2, "192.0.2.2")
    };
    for thief_first in [true, false] {
        let mut reconciler = Reconciler::new(Settings::new("node"));
        let thief = service("thief", 1, "10.96.0.200");
        let mut objects = vec![thief, victim.clone()];
        if !thief_first {
            objects.reverse();
        }
        for object in objects {
            reconciler.apply_service(object);
        }
        assert_eq!(taken(&mut reconciler), [told("thief", &[Reason::FrontendConflict])]);
        assert_eq!(holder(&reconciler, "10.96.0.200"), ["victim"]);
        reconciler.delete_service(&ObjectName::new("n", "victim"));
        assert_eq!(taken(&mut reconciler), [told("thief", &[])]);
        assert_eq!(holder(&reconciler, "10.96.0.200"), ["thief"]);
    }
}

#[test]
fn a_claim_that_gets_a_better_kind_wins_and_one_that_gets_a_worse_kind_loses() {
    let shared: IpAddr = "192.0.2.1".parse().expect("an address");
    let by_load_balancer = |name, created| Service {
        external_ips: Vec::new(),
        load_balancer_ips: vec![shared],
        ..service(name, created, "192.0.2.1")
    };
    let mut reconciler = Reconciler::new(Settings::new("node"));
    reconciler.apply_service(service("old", 1, "192.0.2.1"));
    reconciler.apply_service(service("young", 2, "192.0.2.1"));
    assert_eq!(holder(&reconciler, "192.0.2.1"), ["old"]);
    reconciler.take_problems();
    reconciler.apply_service(by_load_balancer("young", 2));
    assert_eq!(holder(&reconciler, "192.0.2.1"), ["young"]);
    let refused = [Reason::FrontendConflict];
    assert_eq!(taken(&mut reconciler), [told("old", &refused), told("young", &[])]);
    reconciler.apply_service(service("young", 2, "192.0.2.1"));
    assert_eq!(holder(&reconciler, "192.0.2.1"), ["old"]);
    assert_eq!(taken(&mut reconciler), [told("old", &[]), told("young", &refused)]);
}

/// The names of the Services that have a frontend at this address.
fn holder(reconciler: &Reconciler, address: &str) -> Vec<String> {
    let address = Some(address.parse().expect("an address"));
    let programmed = reconciler.programmed().into_iter();
    let has = programmed.filter(|one| one.frontends.iter().any(|at| at.address() == address));
    has.map(|one| one.service.name().to_owned()).collect()
}

#[test]
fn each_loser_is_told_who_won() {
    let mut reconciler = Reconciler::new(Settings::new("node"));
    for (name, created) in [("c", 3), ("b", 2), ("a", 1)] {
        reconciler.apply_service(service(name, created, "192.0.2.1"));
    }
    let problems = reconciler.take_problems();
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|one| one.found[0].message.contains("n/a")), "{problems:?}");
    reconciler.delete_service(&ObjectName::new("n", "a"));
    let problems = reconciler.take_problems();
    let [b, c] = problems.as_slice() else { panic!("{problems:?}") };
    assert!(b.found.is_empty());
    assert!(c.found[0].message.contains("n/b"));
    reconciler.delete_service(&ObjectName::new("n", "c"));
    assert_eq!(taken(&mut reconciler), [told("c", &[])]);
}

#[test]
fn what_the_kernel_goes_on_refusing_is_told_until_it_does_not() {
    let second = Duration::from_secs(1);
    let mut reconciler = Reconciler::new(Settings::new("node"));
    let mut kernel = Refusing(KernelState::default(), true);
    reconciler.apply_service(service("web", 1, "192.0.2.1"));
    let mut told_at = Vec::new();
    for now in 0..20 {
        kernel.1 = now < 10;
        let plan = reconciler.plan(second * now, usize::MAX);
        let report = execute(&plan, &mut kernel);
        reconciler.take_report(&plan, &report, second * now);
        told_at.extend(taken(&mut reconciler).into_iter().map(|told| (now, told)));
    }
    let refused = Reason::KernelRefused;
    // Tried at 0, 1, 3 and 7 seconds in vain, and with success at 15.
    assert_eq!(told_at, [(3, told("web", &[refused])), (15, told("web", &[]))]);
}

/// A kernel that, for a time, has no virtual servers on one address.
struct Refusing(KernelState, bool);

impl Kernel for Refusing {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut refused = Vec::new();
        for (position, action) in actions.iter().enumerate() {
            let is_refused = matches!(action, Action::AddVirtualServer(server)
                if server.frontend.address() == Some([192, 0, 2, 1].into()));
            if self.1 && is_refused {
                refused.push((position, Refused::Other("no".into())));
            } else {
                self.0.apply(phase, &[*action]);
            }
        }
        refused
    }
}
