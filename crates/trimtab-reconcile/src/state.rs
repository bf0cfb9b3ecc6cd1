//! The kernel's objects as values: what `trimtab plan` prints and what tests compare.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use trimtab_core::{Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};

use crate::execute::{Kernel, Refused};
use crate::operation::{Action, Phase};

/// A virtual server with its real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServerState {
    /// The virtual server.
    pub server: VirtualServer,
    /// Its real servers.
    pub real_servers: BTreeMap<RealServerKey, RealServer>,
}

/// Virtual servers, set elements and VIPs, in sorted order. As a [`Kernel`] it takes and refuses
/// operations like the real one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// Virtual servers.
    pub virtual_servers: BTreeMap<Frontend, VirtualServerState>,
    /// Elements of each set.
    pub elements: BTreeSet<(SetId, SetElement)>,
    /// VIPs on the dummy interface.
    pub addresses: BTreeSet<IpAddr>,
}

impl KernelState {
    /// Does one operation.
    ///
    /// # Errors
    /// [`Refused`] where the kernel would refuse: it makes nothing twice and changes nothing that is
    /// not there, except that elements and addresses may be added and deleted again.
    pub fn act(&mut self, action: &Action) -> Result<(), Refused> {
        match action {
            Action::AddElement(set, element) => {
                self.forget_element(*set, element);
                self.elements.insert((*set, *element));
            }
            Action::DeleteElement(set, element) => self.forget_element(*set, element),
            Action::AddAddress(address) => {
                self.addresses.insert(*address);
            }
            Action::DeleteAddress(address) => {
                self.addresses.remove(address);
            }
            Action::AddVirtualServer(server) => {
                if self.virtual_servers.contains_key(&server.frontend) {
                    return Err(Refused::Exists);
                }
                let state =
                    VirtualServerState { server: server.clone(), real_servers: BTreeMap::new() };
                self.virtual_servers.insert(server.frontend, state);
            }
            Action::SetVirtualServer(server) => {
                self.find(&server.frontend)?.server = server.clone();
            }
            Action::DeleteVirtualServer(frontend) => {
                self.virtual_servers.remove(frontend).ok_or(Refused::NotFound)?;
            }
            Action::AddRealServer(frontend, server) => {
                let real_servers = &mut self.find(frontend)?.real_servers;
                if real_servers.contains_key(&server.key) {
                    return Err(Refused::Exists);
                }
                real_servers.insert(server.key, *server);
            }
            Action::SetRealServer(frontend, server) | Action::DrainRealServer(frontend, server) => {
                let real_servers = &mut self.find(frontend)?.real_servers;
                *real_servers.get_mut(&server.key).ok_or(Refused::NotFound)? = *server;
            }
            Action::DeleteRealServer(frontend, key) => {
                self.find(frontend)?.real_servers.remove(key).ok_or(Refused::NotFound)?;
            }
        }
        Ok(())
    }

    /// Removes an element, whatever its mark.
    fn forget_element(&mut self, set: SetId, element: &SetElement) {
        if let SetElement::IpPortMark(ip, protocol, port, _) = *element {
            let at = |mark| (set, SetElement::IpPortMark(ip, protocol, port, mark));
            let found = self.elements.range(at(0)..=at(u32::MAX)).next().copied();
            found.map(|found| self.elements.remove(&found));
        } else {
            self.elements.remove(&(set, *element));
        }
    }

    fn find(&mut self, frontend: &Frontend) -> Result<&mut VirtualServerState, Refused> {
        self.virtual_servers.get_mut(frontend).ok_or(Refused::NotFound)
    }
}

impl Kernel for KernelState {
    fn apply(&mut self, _phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut refused = Vec::new();
        for (position, action) in actions.iter().enumerate() {
            if let Err(why) = self.act(action) {
                refused.push((position, why));
            }
        }
        refused
    }
}
