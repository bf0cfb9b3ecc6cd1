//! Virtual servers whose frontend is a firewall mark: which are taken for ours, and how they go.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetElement, SetId, SetKind,
    VirtualServer,
};
use trimtab_reconcile::{
    Action, Kernel, KernelState, Phase, Reconciler, Refused, Settings, VirtualServerState, execute,
};

const MARK: u32 = 0x2005;
const SECOND: Duration = Duration::from_secs(1);

fn mark(family: Family) -> Frontend {
    Frontend::Mark { mark: MARK, family }
}

fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => [203, 0, 113, 1].into(),
        Family::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
    }
}

fn endpoint() -> RealServerKey {
    RealServerKey::new([10, 244, 0, 2].into(), 8080)
}

fn record(family: Family) -> (SetId, SetElement) {
    (SetId::new(SetKind::Marks, family), SetElement::of_mark(MARK, family))
}

fn inside(family: Family) -> (SetId, SetElement) {
    let element = SetElement::IpPortMark(vip(family), Protocol::Udp, 53, MARK);
    (SetId::new(SetKind::Inside, family), element)
}

/// A kernel with a virtual server for a mark, and these elements.
fn kernel(family: Family, elements: &[(SetId, SetElement)]) -> KernelState {
    let server = VirtualServer::new(mark(family), Scheduler::RoundRobin);
    let real_servers = [(endpoint(), RealServer::masqueraded(endpoint()))].into();
    KernelState {
        virtual_servers: [(mark(family), VirtualServerState { server, real_servers })].into(),
        elements: elements.iter().copied().collect(),
        ..KernelState::default()
    }
}

/// What a program does that starts.
fn adopt(settings: Settings, kernel: &KernelState) -> Reconciler {
    let mut reconciler = Reconciler::new(settings);
    for set in SetId::all() {
        let elements = kernel.elements.iter().filter(|(of, _)| *of == set);
        reconciler.observe_elements(set, elements.map(|(_, element)| *element));
    }
    for (frontend, state) in &kernel.virtual_servers {
        reconciler.observe_virtual_server(*frontend, Some(&state.server));
        reconciler.observe_real_servers(*frontend, state.real_servers.values().copied());
    }
    reconciler
}

/// Plans and carries out all that is due; what was done, a line each.
fn program(reconciler: &mut Reconciler, kernel: &mut impl Kernel, now: Duration) -> Vec<String> {
    let mut done = Vec::new();
    while !reconciler.is_idle() {
        let plan = reconciler.plan(now, 1000);
        let report = execute(&plan, kernel);
        done.extend(plan.operations().map(|operation| operation.action.to_string()));
        reconciler.take_report(&plan, &report, now);
    }
    done
}

#[test]
fn a_mark_that_no_set_of_ours_names_is_somebody_elses() {
    for family in Family::ALL {
        let mut kernel = kernel(family, &[]);
        let before = kernel.clone();
        let mut reconciler = adopt(Settings::new("node"), &kernel);
        assert_eq!(program(&mut reconciler, &mut kernel, SECOND), [""; 0]);
        assert_eq!(reconciler.known_frontends().count(), 0);
        reconciler.begin_audit();
        reconciler.audit_virtual_servers(before.virtual_servers.values().map(|s| &s.server));
        reconciler.end_audit_of_virtual_servers();
        assert_eq!(reconciler.take_to_reread(usize::MAX), []);
        assert_eq!(kernel, before);
    }
}

#[test]
fn what_nobody_asks_for_any_more_keeps_its_connections_and_then_goes_with_its_record() {
    for family in Family::ALL {
        let mut kernel = kernel(family, &[record(family), inside(family)]);
        let mut reconciler = adopt(Settings::new("node"), &kernel);
        // Packets lose the mark at once.
        let done = program(&mut reconciler, &mut kernel, SECOND);
        assert_eq!(done, [format!("delete {} from ipset {}", inside(family).1, inside(family).0)]);
        assert!(reconciler.draining().eq([mark(family)]));
        assert!(reconciler.next_drain_end().is_some());
        reconciler.observe_connections(mark(family), [(endpoint(), 1)], SECOND * 2);
        assert_eq!(program(&mut reconciler, &mut kernel, SECOND * 2), [""; 0]);
        reconciler.observe_connections(mark(family), [(endpoint(), 0)], SECOND * 3);
        let done = program(&mut reconciler, &mut kernel, SECOND * 3);
        let (set, element) = record(family);
        let last = format!("delete {element} from ipset {set}");
        assert_eq!(done, [format!("delete virtual server {}", mark(family)), last]);
        assert_eq!(kernel, KernelState::default());
        assert_eq!(reconciler.draining().count(), 0);
        assert_eq!(reconciler.server_counts(), (0, 0));
    }
}

#[test]
fn connections_are_kept_for_the_drain_timeout_at_most() {
    let mut kernel = kernel(Family::V4, &[record(Family::V4)]);
    let settings = Settings { drain_timeout: SECOND * 30, ..Settings::new("node") };
    let mut reconciler = adopt(settings, &kernel);
    program(&mut reconciler, &mut kernel, SECOND);
    assert_eq!(reconciler.next_drain_end(), Some(SECOND * 31));
    for now in [SECOND * 30, SECOND * 31] {
        reconciler.observe_connections(mark(Family::V4), [(endpoint(), 1)], now);
        program(&mut reconciler, &mut kernel, now);
        assert_eq!(kernel.virtual_servers.is_empty(), now == SECOND * 31);
    }
    assert!(kernel.elements.is_empty());
}

#[test]
fn without_a_drain_timeout_it_goes_at_once_and_last_of_all_its_record() {
    let mut kernel = kernel(Family::V4, &[record(Family::V4), inside(Family::V4)]);
    let settings = Settings { drain_timeout: Duration::ZERO, ..Settings::new("node") };
    let mut reconciler = adopt(settings, &kernel);
    let done = program(&mut reconciler, &mut kernel, SECOND);
    assert_eq!(
        done,
        [
            "delete 203.0.113.1,udp:53 skbmark 0x2005 from ipset TRIMTAB-INSIDE",
            "delete virtual server FWM 8197",
            "delete 0.0.32.5 from ipset TRIMTAB-MARKS",
        ]
    );
    assert_eq!(kernel, KernelState::default());
}

#[test]
fn a_mark_of_packets_to_an_excluded_network_stays_and_so_does_its_virtual_server() {
    let mut kernel = kernel(Family::V4, &[record(Family::V4), inside(Family::V4)]);
    let before = kernel.clone();
    let exclude = vec!["203.0.113.0/24".parse().unwrap()];
    let settings = Settings { exclude, drain_timeout: Duration::ZERO, ..Settings::new("node") };
    let mut reconciler = adopt(settings, &kernel);
    assert_eq!(program(&mut reconciler, &mut kernel, SECOND), [""; 0]);
    assert_eq!(kernel, before);
}

#[test]
fn a_record_without_a_virtual_server_goes() {
    let mut kernel =
        KernelState { elements: [record(Family::V6)].into(), ..KernelState::default() };
    let mut reconciler = adopt(Settings::new("node"), &kernel);
    program(&mut reconciler, &mut kernel, SECOND);
    assert_eq!(kernel, KernelState::default());
}

/// A kernel that refuses everything of one phase, until told otherwise.
struct Refusing(KernelState, Option<Phase>);

impl Kernel for Refusing {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        if self.1 == Some(phase) {
            return (0..actions.len()).map(|at| (at, Refused::Other("no".into()))).collect();
        }
        self.0.apply(phase, actions)
    }
}

#[test]
fn a_mark_that_packets_may_still_be_given_keeps_its_virtual_server_and_that_its_record() {
    for phase in [Phase::Direct, Phase::Withdraw, Phase::DeleteElements] {
        let state = kernel(Family::V4, &[record(Family::V4), inside(Family::V4)]);
        let settings = Settings { drain_timeout: Duration::ZERO, ..Settings::new("node") };
        let mut reconciler = adopt(settings, &state);
        let mut kernel = Refusing(state, Some(phase));
        program(&mut reconciler, &mut kernel, SECOND);
        let left = (
            kernel.0.elements.contains(&inside(Family::V4)),
            kernel.0.virtual_servers.contains_key(&mark(Family::V4)),
            kernel.0.elements.contains(&record(Family::V4)),
        );
        let first = |at| phase <= at;
        assert_eq!(left, (first(Phase::Direct), first(Phase::Withdraw), true), "{phase:?}");
        kernel.1 = None;
        while let Some(now) = reconciler.next_retry() {
            for frontend in reconciler.take_to_reread(usize::MAX) {
                let found = kernel.0.virtual_servers.get(&frontend);
                reconciler.observe_virtual_server(frontend, found.map(|found| &found.server));
            }
            program(&mut reconciler, &mut kernel, now);
            // Nothing has happened that would have to be planned by itself.
            let plan = reconciler.plan(now, 1000);
            let report = execute(&plan, &mut kernel);
            reconciler.take_report(&plan, &report, now);
        }
        program(&mut reconciler, &mut kernel, SECOND * 100);
        assert_eq!(kernel.0, KernelState::default(), "{phase:?}");
    }
}
