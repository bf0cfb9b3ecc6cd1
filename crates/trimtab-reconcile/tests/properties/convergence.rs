//! However it got there, the kernel ends as the objects say.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use trimtab_core::{
    Family, Frontend, MarkRange, Protocol, RealServer, RealServerKey, Scheduler, SetElement,
    SetKind, VirtualServer,
};
use trimtab_reconcile::{
    KernelState, NodePortAddresses, Programmed, Reconciler, Settings, VirtualServerState,
};

use crate::events::{Event, event};
use crate::invariants::OrderedKernel;
use crate::world::{Objects, Told, World, difference, inside_marks, record_of, settings, tell};

/// Events a case, on average; 100,000 in all.
const EVENTS: usize = 200;
const CASES: u32 = 500;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    /// Event by event, with plans carried out at any time, the kernel ends in the state that the
    /// final objects lead to from scratch; and at no operation is the order wrong.
    #[test]
    fn any_sequence_of_events_ends_as_from_scratch(
        settings in any_settings(),
        events in prop::collection::vec(event(), 1..2 * EVENTS),
    ) {
        let mut objects = Objects::new(settings.clone());
        let reconciler = Reconciler::new(settings);
        let mut world = World::new(reconciler, OrderedKernel::default());
        let mut told = Told::default();
        for event in &events {
            objects.take(event);
            tell(&mut world.reconciler, event);
            match event {
                Event::Sync => {
                    world.sync();
                    told.listen(&mut world.reconciler);
                }
                Event::Wait(seconds) => world.now += std::time::Duration::from_secs(*seconds),
                _ => {}
            }
        }
        world.sync();
        world.end_drains();
        prop_assert_eq!(difference(&world.kernel.state, &objects.desired()), "");
        let mut at_once = World::new(objects.reconciler(), KernelState::default());
        at_once.sync();
        prop_assert_eq!(unmarked(&world.reconciler), unmarked(&at_once.reconciler));
        // Nor is anything else said of it in the end.
        told.listen(&mut world.reconciler);
        let mut told_at_once = Told::default();
        told_at_once.listen(&mut at_once.reconciler);
        prop_assert_eq!(told, told_at_once);
        // And then there is nothing to do, nor does an audit find anything.
        let operations = world.operations;
        world.audit();
        world.end_drains();
        prop_assert_eq!(world.operations, operations);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// With fewer marks than views, those views that there are have the right endpoints, a mark never
    /// means two things on the way, and who has none is told.
    #[test]
    fn where_marks_are_rare_each_means_one_view(
        events in prop::collection::vec(event(), 1..EVENTS),
    ) {
        let marks = MarkRange::of_bits(0x7);
        let few = Settings { marks, ..settings() };
        let mut objects = Objects::new(settings());
        let mut world = World::new(Reconciler::new(few), OrderedKernel::default());
        let mut told = Told::default();
        for event in &events {
            objects.take(event);
            tell(&mut world.reconciler, event);
            if matches!(event, Event::Sync) {
                world.sync();
                told.listen(&mut world.reconciler);
            }
        }
        world.sync();
        world.end_drains();
        told.listen(&mut world.reconciler);
        let wanted = views(&objects.desired());
        let found = views(&world.kernel.state);
        for (frontend, view) in &found {
            prop_assert_eq!(Some(view), wanted.get(frontend), "{}", frontend);
        }
        let has_all = wanted.keys().all(|frontend| found.contains_key(frontend));
        prop_assert!(has_all || told.lacks_marks());
    }
}

/// The view of clients inside of each frontend that has one: its virtual server, less the mark, and its
/// real servers.
fn views(state: &KernelState) -> BTreeMap<Frontend, VirtualServerState> {
    let of_mark = |mark: Frontend| {
        let mut view = state.virtual_servers[&mark].clone();
        view.server.frontend = Frontend::Mark { mark: 0, family: mark.family() };
        view
    };
    inside_marks(state).into_iter().map(|(mark, frontend)| (frontend, of_mark(mark))).collect()
}

/// What is programmed, less which marks it has.
fn unmarked(reconciler: &Reconciler) -> Vec<Programmed> {
    let mut programmed = reconciler.programmed();
    for service in &mut programmed {
        service.frontends.retain(|frontend| frontend.protocol().is_some());
        service.elements.retain(|(set, _)| set.kind != SetKind::Marks);
        for (_, element) in &mut service.elements {
            if let SetElement::IpPortMark(.., mark) = element {
                *mark = 0;
            }
        }
    }
    programmed
}

/// All that the configuration can say of Services. Networks of others are left out, as what is in
/// them stays by design.
fn any_settings() -> impl Strategy<Value = Settings> {
    let networks = |text: &str| NodePortAddresses::Networks(vec![text.parse().unwrap()]);
    let addresses = vec![
        NodePortAddresses::All,
        NodePortAddresses::Primary,
        networks("10.0.0.0/31"),
        networks("fd00:10::/64"),
    ];
    let schedulers = vec![Scheduler::RoundRobin, Scheduler::MaglevHashing];
    (select(addresses), select(schedulers)).prop_map(|(node_port_addresses, scheduler)| Settings {
        node_port_addresses,
        scheduler,
        ..settings()
    })
}

/// A virtual server that somebody else made.
fn foreign() -> (Frontend, VirtualServerState) {
    let frontend = Frontend::new(Protocol::Tcp, [172, 16, 0, 1].into(), 443);
    let key = RealServerKey::new([172, 16, 0, 2].into(), 443);
    let server = VirtualServer::new(frontend, Scheduler::SourceHashing);
    let real_servers = [(key, RealServer::masqueraded(key))].into();
    (frontend, VirtualServerState { server, real_servers })
}

/// The objects after some events.
fn objects() -> impl Strategy<Value = Objects> {
    (any_settings(), prop::collection::vec(event(), 0..40)).prop_map(|(settings, events)| {
        let mut objects = Objects::new(settings);
        for event in &events {
            objects.take(event);
        }
        objects
    })
}

/// Spoils a kernel's state here and there.
fn spoil(mut state: KernelState, choices: &[u8]) -> KernelState {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = || choices.next().unwrap_or(0);
    state.addresses.retain(|_| choose() > 50);
    state.elements.retain(|_| choose() > 20);
    state.virtual_servers.retain(|_, _| choose() > 40);
    for server in state.virtual_servers.values_mut() {
        if choose() < 40 {
            server.server.scheduler = Scheduler::NeverQueue;
        }
        server.real_servers.retain(|_, _| choose() > 40);
        for real in server.real_servers.values_mut() {
            if choose() < 60 {
                real.weight = u32::from(choose());
            }
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Found by a program that starts: whatever the kernel holds, it ends as wanted, without
    /// touching what is somebody else's.
    #[test]
    fn any_kernel_ends_as_wanted(
        before in objects(),
        after in objects(),
        choices in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let (frontend, other) = foreign();
        let mut kernel = spoil(before.desired(), &choices);
        kernel.virtual_servers.insert(frontend, other.clone());
        // Marks of somebody else, among ours and not.
        let recorded = kernel.elements.clone();
        let range = settings().marks.unwrap();
        let taken = [range.nth(1), range.nth(4), 0x8000];
        let taken = taken.map(|mark| Frontend::Mark { mark, family: Family::V4 });
        let is_recorded = |mark: &Frontend| {
            let (set, element) = record_of(mark);
            recorded.contains(&(set, element)) || inside_marks(&kernel).iter().any(|(it, _)| it == mark)
        };
        let taken: Vec<Frontend> = taken.into_iter().filter(|mark| !is_recorded(mark)).collect();
        for mark in &taken {
            kernel.virtual_servers.insert(*mark, other.clone());
        }
        let mut world = World::new(after.reconciler(), kernel);
        world.adopt();
        world.sync();
        world.end_drains();
        let mut wanted = after.desired();
        for mark in &taken {
            prop_assert_eq!(world.kernel.virtual_servers.get(mark), Some(&other), "{}", mark);
        }
        wanted.virtual_servers.insert(frontend, other);
        // A virtual server that no set names any more is not known to be ours, so it stays.
        let marks = inside_marks(&world.kernel);
        let is_ours = |frontend: &Frontend| match frontend {
            Frontend::Address { .. } => wanted.virtual_servers.contains_key(frontend),
            Frontend::Mark { .. } => marks.iter().any(|(mark, _)| mark == frontend),
        };
        world.kernel.virtual_servers.retain(|frontend, _| is_ours(frontend));
        prop_assert_eq!(difference(&world.kernel, &wanted), "");
    }

    /// A program that starts on a kernel as it left it does nothing.
    #[test]
    fn a_restart_does_nothing(objects in objects()) {
        let mut world = World::new(objects.reconciler(), objects.desired());
        world.adopt();
        world.sync();
        prop_assert_eq!(world.operations, 0);
    }

    /// What somebody spoils is found by the next audit and put right.
    #[test]
    fn an_audit_repairs_what_was_spoiled(
        objects in objects(),
        choices in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let mut world = World::new(objects.reconciler(), KernelState::default());
        world.sync();
        world.kernel = spoil(world.kernel, &choices);
        world.audit();
        world.end_drains();
        prop_assert_eq!(difference(&world.kernel, &objects.desired()), "");
    }
}
