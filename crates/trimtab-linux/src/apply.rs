//! Applies operations, one phase at a time, in few system calls.

use std::net::IpAddr;

use hashbrown::HashSet;
use tracing::warn;
use trimtab_host::ipset::{Repeat, apply_growing};
use trimtab_netlink::Failure;
use trimtab_reconcile::{Action, Kernel, Phase, Refused};

use super::{Linux, messages};
use trimtab_metrics as metric;

impl Kernel for Linux {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        match phase {
            Phase::AddElements | Phase::Direct | Phase::DeleteElements => {
                self.change_elements(actions)
            }
            Phase::Serve | Phase::Withdraw => self.change_servers(actions),
            Phase::Bind | Phase::Unbind => self.change_addresses(phase, actions),
        }
    }
}

impl Linux {
    fn change_elements(&mut self, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let (positions, changes) = messages::element_changes(actions);
        match apply_growing(&mut self.sets, &changes, Repeat::Allow) {
            Ok(grown) => {
                for (set, size) in grown.sets {
                    warn!(set, size, "the ipset was full: replaced it by a larger one");
                }
                let applied = grown.applied;
                metric::sent("ipset", applied.messages, applied.sends, applied.bytes);
                let failed = applied.failed.into_iter();
                failed.map(|failed| (positions[failed.index], other(&failed.error))).collect()
            }
            Err(error) => all(actions, &error),
        }
    }

    fn change_servers(&mut self, actions: &[&Action]) -> Vec<(usize, Refused)> {
        self.batch.clear();
        // Every action of these phases is one message, so positions are the batch's indexes.
        for action in actions {
            messages::push_server_change(&mut self.batch, action);
        }
        match self.ipvs.apply(&mut self.batch) {
            Ok(report) => {
                metric::sent("ipvs", report.messages, report.sends, report.bytes);
                let no_entry = |failure: &&Failure| failure.refusal.errno.is_no_entry();
                // Without IPVS, nothing is known at all: then no scheduler is missing, and nothing has
                // gone by itself.
                let lost = report.failures.iter().find(no_entry).and_then(|_| self.ipvs.is_lost());
                let mut refused: Vec<(usize, Refused)> = Vec::new();
                for failure in &report.failures {
                    let why = match &lost {
                        Some(error) if no_entry(&failure) => other(error),
                        _ => self.meaning(actions[failure.index], failure),
                    };
                    refused.push((failure.index, why));
                }
                let known: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
                for index in report.unconfirmed.into_iter().flatten() {
                    if !known.contains(&index) {
                        refused
                            .push((index, Refused::Other("the kernel's answer was lost".into())));
                    }
                }
                refused
            }
            Err(error) => all(actions, &error),
        }
    }

    /// What an error says about the kernel's state.
    fn meaning(&self, action: &Action, failure: &Failure) -> Refused {
        let errno = failure.refusal.errno;
        // For a virtual server, ENOENT means that its scheduler is missing; ESRCH means that the
        // virtual server itself does not exist.
        let is_about_scheduler =
            matches!(action, Action::AddVirtualServer(_) | Action::SetVirtualServer(_))
                && errno.is_no_entry();
        if errno.is_exists() {
            Refused::Exists
        } else if is_about_scheduler {
            Refused::NoScheduler(self.batch.explain(failure).into())
        } else if errno.is_not_found() {
            Refused::NotFound
        } else {
            Refused::Other(self.batch.explain(failure).into())
        }
    }

    fn change_addresses(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let addresses: Vec<IpAddr> = actions
            .iter()
            .filter_map(|action| match action {
                Action::AddAddress(address) | Action::DeleteAddress(address) => Some(*address),
                _ => None,
            })
            .collect();
        let applied = if phase == Phase::Bind {
            self.binding.bind(&mut self.route, &addresses)
        } else {
            self.binding.unbind(&mut self.route, &addresses)
        };
        match applied {
            Ok(applied) => {
                metric::sent("route", applied.messages, applied.sends, applied.bytes);
                applied.failed.iter().map(|failed| (failed.index, other(&failed.error))).collect()
            }
            Err(error) => all(actions, &error),
        }
    }
}

fn other(error: &dyn std::fmt::Display) -> Refused {
    Refused::Other(error.to_string().into())
}

fn all(actions: &[&Action], error: &dyn std::fmt::Display) -> Vec<(usize, Refused)> {
    (0..actions.len()).map(|position| (position, other(error))).collect()
}
