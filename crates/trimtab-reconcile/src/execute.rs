//! Carrying a plan out, phase by phase, without letting one failure spoil the rest.

use hashbrown::{HashMap, HashSet};
use trimtab_core::Frontend;

use crate::operation::{Action, Operation, Phase, ServiceId};
use crate::plan::Plan;

/// What holds the state: the real kernel, or a [`KernelState`](crate::KernelState).
pub trait Kernel {
    /// Does all of `actions`, which are of one phase and in order; returns those that failed, by
    /// position. One that fails does not keep the others from being tried.
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)>;
}

/// The kernel's refusal of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// What was to be changed is not there.
    NotFound,
    /// What was to be made is there already.
    Exists,
    /// It has not the scheduler that the virtual server was to have; in words.
    NoScheduler(Box<str>),
    /// Anything else, in words.
    Other(Box<str>),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("not there"),
            Self::Exists => f.write_str("there already"),
            Self::NoScheduler(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// What became of a plan. Operations that are not named were done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many operations were done.
    pub done: usize,
    /// Operations that failed.
    pub failed: Vec<(Operation, Refused)>,
    /// Operations that were not tried, because one that they build upon failed.
    pub withheld: Vec<Operation>,
}

impl Report {
    /// Whether all of the plan was done.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.withheld.is_empty()
    }
}

/// Carries out `plan`. After a failure, what builds upon it is withheld: nothing new of that Service
/// becomes reachable without its elements, no VIP is bound without its virtual servers, and no
/// element goes before what it is about. Everything else is done.
pub fn execute(plan: &Plan, kernel: &mut impl Kernel) -> Report {
    let mut report = Report::default();
    let mut stumbled: HashMap<ServiceId, Phase> = HashMap::new();
    let mut without_server: HashSet<Frontend> = HashSet::new();
    for phase in Phase::ALL {
        let operations = plan.phase(phase);
        let mut tried: Vec<&Operation> = Vec::with_capacity(operations.len());
        for operation in operations {
            if is_withheld(operation, &stumbled, &mut without_server) {
                report.withheld.push(operation.clone());
            } else {
                tried.push(operation);
            }
        }
        if tried.is_empty() {
            continue;
        }
        let actions: Vec<&Action> = tried.iter().map(|operation| &operation.action).collect();
        let refused = kernel.apply(phase, &actions);
        report.done += tried.len() - refused.len();
        for (position, why) in refused {
            let operation = tried[position];
            stumbled.entry(operation.service).or_insert(phase);
            report.failed.push((operation.clone(), why));
        }
    }
    report
}

fn is_withheld(
    operation: &Operation,
    stumbled: &HashMap<ServiceId, Phase>,
    without_server: &mut HashSet<Frontend>,
) -> bool {
    if stumbled.is_empty() {
        return false;
    }
    let stumbled = stumbled.get(&operation.service).copied();
    match &operation.action {
        // Elements first failed: no new virtual server, and so none of its real servers.
        Action::AddVirtualServer(server) if stumbled == Some(Phase::AddElements) => {
            without_server.insert(server.frontend);
            true
        }
        Action::AddRealServer(frontend, _) => without_server.contains(frontend),
        Action::AddAddress(_) => stumbled.is_some_and(|phase| phase <= Phase::Serve),
        // A server that could not be added leaves the old ones in place.
        Action::DrainRealServer(..) | Action::DeleteRealServer(..) => {
            stumbled.is_some_and(|phase| phase <= Phase::Serve)
        }
        // Clients inside stay with the view that they have until the other one is complete.
        Action::AddElement(set, _) | Action::DeleteElement(set, _) if set.kind.has_marks() => {
            stumbled.is_some_and(|phase| phase <= Phase::Serve)
        }
        // A mark that packets may still be given keeps its meaning.
        Action::DeleteVirtualServer(Frontend::Mark { .. }) => {
            stumbled.is_some_and(|phase| phase <= Phase::Direct)
        }
        Action::DeleteElement(..) => {
            stumbled.is_some_and(|phase| matches!(phase, Phase::Unbind | Phase::Withdraw))
        }
        _ => false,
    }
}
