//! A kernel that takes every message, counts it and forgets it.

use std::net::IpAddr;
use std::ops::Sub;
use std::sync::{Arc, Mutex, MutexGuard};

use trimtab_core::{Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};
use trimtab_host::ipset::{self, Repeat};
use trimtab_ipvs::Batch;
use trimtab_linux::messages;
use trimtab_reconcile::ports::{DataPlane, Observer, PortError};
use trimtab_reconcile::{Action, Kernel, Phase, Refused};

/// What was asked of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages to IPVS. Of these,
    pub(crate) ipvs: usize,
    /// real servers added,
    pub(crate) added: usize,
    /// given another weight,
    pub(crate) set: usize,
    /// and taken away; the others are of virtual servers.
    pub(crate) deleted: usize,
    /// Messages to ipset.
    pub(crate) ipset: usize,
    /// Elements in them.
    pub(crate) elements: usize,
    /// VIPs that came or went.
    pub(crate) addresses: usize,
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            ipvs: self.ipvs - before.ipvs,
            added: self.added - before.added,
            set: self.set - before.set,
            deleted: self.deleted - before.deleted,
            ipset: self.ipset - before.ipset,
            elements: self.elements - before.elements,
            addresses: self.addresses - before.addresses,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) tally: Tally,
    /// The last messages to IPVS.
    pub(crate) batch: Batch,
    /// Real servers of weight 0, which have no connection.
    draining: Vec<(Frontend, RealServerKey)>,
}

/// A handle to it; clones share the kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<Mutex<Inside>>);

impl Counter {
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.inside().tally
    }
}

impl Kernel for Counter {
    fn apply(&mut self, phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut inside = self.inside();
        let Inside { tally, batch, draining } = &mut *inside;
        match phase {
            Phase::AddElements | Phase::Direct | Phase::DeleteElements => {
                let (_, changes) = messages::element_changes(actions);
                tally.elements += changes.len();
                tally.ipset += ipset::messages(&changes, Repeat::Allow).len();
            }
            Phase::Bind | Phase::Unbind => tally.addresses += actions.len(),
            Phase::Serve | Phase::Withdraw => {
                batch.clear();
                for action in actions {
                    messages::push_server_change(batch, action);
                    match action {
                        Action::AddRealServer(..) => tally.added += 1,
                        Action::SetRealServer(frontend, server) => {
                            tally.set += 1;
                            draining.retain(|known| known != &(*frontend, server.key));
                        }
                        Action::DrainRealServer(frontend, server) => {
                            tally.set += 1;
                            draining.push((*frontend, server.key));
                        }
                        Action::DeleteRealServer(frontend, key) => {
                            tally.deleted += 1;
                            draining.retain(|known| known != &(*frontend, *key));
                        }
                        Action::DeleteVirtualServer(frontend) => {
                            draining.retain(|(known, _)| known != frontend);
                        }
                        _ => {}
                    }
                }
                tally.ipvs += batch.len();
            }
        }
        Vec::new()
    }
}

impl Observer for Counter {
    fn elements(&mut self, _: SetId) -> Result<Vec<SetElement>, PortError> {
        Ok(Vec::new())
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        Ok(Vec::new())
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        Ok(Vec::new())
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        Err(format!("nothing was refused, so nobody has reason to look at {frontend}").into())
    }
}

impl DataPlane for Counter {
    fn prepare(&mut self) -> Result<(), PortError> {
        Ok(())
    }

    fn virtual_server(&mut self, frontend: &Frontend) -> Result<Option<VirtualServer>, PortError> {
        Err(format!("nothing was refused, so nobody has reason to look at {frontend}").into())
    }

    fn forget_unserved(&mut self, _: Family, _: &[Frontend]) -> Result<usize, PortError> {
        Ok(0)
    }

    fn connections(&mut self, frontend: &Frontend) -> Result<Vec<(RealServerKey, u64)>, PortError> {
        let inside = self.inside();
        let own = inside.draining.iter().filter(|(known, _)| known == frontend);
        Ok(own.map(|(_, key)| (*key, 0)).collect())
    }
}
