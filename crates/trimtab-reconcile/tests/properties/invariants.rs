//! The order within a plan: every moment of a change is right, checked at each operation.

use trimtab_core::{Frontend, SetElement, SetId, SetKind};
use trimtab_reconcile::{Action, Kernel, KernelState, Phase, Plan, Refused, VirtualServerState};

use crate::world::{Visible, inside_marks, record_of};

/// A kernel that checks each operation against what it holds and what the whole plan leads to.
#[derive(Debug, Default)]
pub(crate) struct OrderedKernel {
    pub(crate) state: KernelState,
    goal: KernelState,
}

impl OrderedKernel {
    fn check(&self, action: &Action) {
        match action {
            Action::AddVirtualServer(server) | Action::SetVirtualServer(server) => {
                self.assert_elements(&server.frontend, action);
                self.assert_recorded(&server.frontend, action);
            }
            Action::AddRealServer(frontend, _) => self.assert_elements(frontend, action),
            Action::AddAddress(address) => {
                for (frontend, goal) in &self.goal.virtual_servers {
                    if frontend.address() == Some(*address) {
                        self.assert_ready(frontend, goal, action);
                        self.assert_elements(frontend, action);
                        self.assert_inside(frontend, action);
                    }
                }
            }
            Action::DeleteAddress(address) => {
                assert!(!self.goal.addresses.contains(address));
                let guard =
                    (SetId::new(SetKind::IpvsIps, family(address)), SetElement::Ip(*address));
                assert!(self.state.elements.contains(&guard), "{action}: no longer guarded");
            }
            Action::DrainRealServer(frontend, _) | Action::DeleteRealServer(frontend, _) => {
                let goal = &self.goal.virtual_servers[frontend].real_servers;
                let now = &self.state.virtual_servers[frontend].real_servers;
                for key in goal.iter().filter(|(_, real)| real.weight > 0).map(|(key, _)| key) {
                    assert!(now.contains_key(key), "before {action}: {key} is not in yet");
                }
                self.assert_inside(frontend, action);
            }
            Action::DeleteVirtualServer(frontend) => {
                assert!(!self.goal.virtual_servers.contains_key(frontend));
                let used = inside_marks(&self.state).iter().any(|(mark, _)| mark == frontend);
                assert!(!used, "before {action}: packets are given the mark");
                self.assert_recorded(frontend, action);
                if let Some(address) = frontend.address() {
                    assert!(
                        !self.state.addresses.contains(&address)
                            || self.goal.addresses.contains(&address),
                        "before {action}: {address} is still bound"
                    );
                }
            }
            Action::AddElement(_, SetElement::IpPortMark(..)) => {
                for (mark, frontend) in self.changed_marks() {
                    self.assert_ready(&mark, &self.goal.virtual_servers[&mark], action);
                    self.assert_elements(&frontend, action);
                }
            }
            Action::DeleteElement(_, SetElement::IpPortMark(ip, protocol, port, _)) => {
                // From now on it has one view for all.
                let frontend = Frontend::new(*protocol, *ip, *port);
                if let Some(goal) = self.goal.virtual_servers.get(&frontend) {
                    self.assert_ready(&frontend, goal, action);
                }
            }
            Action::DeleteElement(set, element) if set.kind == SetKind::Marks => {
                let mut servers = self.state.virtual_servers.keys();
                let is_it =
                    |it: &Frontend| it.protocol().is_none() && record_of(it) == (*set, *element);
                assert!(!servers.any(is_it), "before {action}: it is there");
            }
            Action::DeleteElement(set, element) => self.check_delete(*set, element, action),
            Action::AddElement(..) | Action::SetRealServer(..) => {}
        }
    }

    fn check_delete(&self, set: SetId, element: &SetElement, action: &Action) {
        assert!(!self.goal.elements.contains(&(set, *element)));
        if let SetElement::Ip(address) = element {
            assert!(!self.state.addresses.contains(address), "{action}: still bound");
        }
        for frontend in self.state.virtual_servers.keys() {
            if concerns(set, element, frontend) {
                assert!(self.goal.virtual_servers.contains_key(frontend), "before {action}");
                self.assert_elements(frontend, action);
            }
        }
    }

    /// A virtual server is as wanted and its real servers are in; others may still be on their way
    /// out.
    fn assert_ready(&self, frontend: &Frontend, goal: &VirtualServerState, action: &Action) {
        let now = self.state.virtual_servers.get(frontend);
        let ready = now.is_some_and(|now| {
            now.server == goal.server
                && goal
                    .real_servers
                    .iter()
                    .filter(|(_, real)| real.weight > 0)
                    .all(|(key, real)| now.real_servers.get(key) == Some(real))
        });
        assert!(ready, "before {action}: {frontend} is {now:?} and not {goal:?}");
    }

    /// The marks that the whole plan gives packets and that they are not given yet.
    fn changed_marks(&self) -> Vec<(Frontend, Frontend)> {
        let now = inside_marks(&self.state);
        let goal = inside_marks(&self.goal);
        goal.into_iter().filter(|marked| !now.contains(marked)).collect()
    }

    /// Clients inside have the view of a frontend that they should have.
    fn assert_inside(&self, frontend: &Frontend, action: &Action) {
        let changed = self.changed_marks();
        let lacks = changed.iter().any(|(_, marked)| marked == frontend);
        assert!(!lacks, "before {action}: clients inside have another view");
    }

    /// A virtual server for a mark is known to be ours.
    fn assert_recorded(&self, frontend: &Frontend, action: &Action) {
        if matches!(frontend, Frontend::Mark { .. }) {
            assert!(self.state.elements.contains(&record_of(frontend)), "before {action}");
        }
    }

    /// Everything that the sets should say about a frontend, they say.
    fn assert_elements(&self, frontend: &Frontend, action: &Action) {
        for (set, element) in &self.goal.elements {
            if concerns(*set, element, frontend) {
                assert!(
                    self.state.elements.contains(&(*set, *element)),
                    "before {action}: {element} is not in {set}"
                );
            }
        }
    }
}

fn family(address: &std::net::IpAddr) -> trimtab_core::Family {
    trimtab_core::Family::of(*address)
}

fn concerns(set: SetId, element: &SetElement, frontend: &Frontend) -> bool {
    let Frontend::Address { protocol, address, port } = *frontend else { return false };
    if set.family != frontend.family() || set.kind == SetKind::LoopBack {
        return false;
    }
    match element {
        SetElement::Ip(_) | SetElement::Port(_) | SetElement::IpPortMark(..) => false,
        SetElement::IpPort(ip, p, n)
        | SetElement::IpPortIp(ip, p, n, _)
        | SetElement::IpPortNet(ip, p, n, _) => (*ip, *p, *n) == (address, protocol, port),
    }
}

impl Kernel for OrderedKernel {
    fn apply(&mut self, _phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        for action in actions {
            self.check(action);
            self.state.act(action).unwrap_or_else(|why| panic!("{action}: {why}"));
        }
        Vec::new()
    }
}

impl Visible for OrderedKernel {
    fn state(&self) -> &KernelState {
        &self.state
    }

    fn expect(&mut self, plan: &Plan) {
        self.goal = self.state.clone();
        for operation in plan.operations() {
            self.goal
                .act(&operation.action)
                .unwrap_or_else(|why| panic!("{}: {why}", operation.action));
        }
    }
}
