//! What is known of each Service, found by name or by number.

mod frontend_specs;
mod ports;

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use trimtab_core::{Frontend, SetElement, SetId};

pub(crate) use frontend_specs::FrontendSpecs;
pub(crate) use ports::{PortEntry, Ports};

use crate::backends::EndpointState;
use crate::desired::FrontendSpec;
use crate::operation::ServiceId;
use crate::problem::Problem;
use crate::query::Failure;
use crate::tables::ObjectKey;
use trimtab_core::objects::{ObjectName, Service};

/// A Service, its endpoints, and what is still to be done for it.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) name: ObjectName,
    /// The Service; `None` while only slices of it are known.
    pub(crate) service: Option<Box<Service>>,
    /// How many slices are known.
    pub(crate) slices: u32,
    /// Endpoints by Service port.
    pub(crate) ports: Ports,
    /// Addresses of ready endpoints on this node, each with the number of ports it has.
    pub(crate) ready_here: HashMap<IpAddr, u32>,
    /// What it asks for, as last derived.
    pub(crate) specs: FrontendSpecs,
    /// What it asks for and can never be had.
    pub(crate) refused: Vec<Problem>,
    /// What the kernel refuses for it, in words.
    pub(crate) refusals: Vec<(ObjectKey, Box<str>)>,
    /// When something was last changed in the kernel for it.
    pub(crate) changed: Option<Duration>,
    /// The last failure, even if it is over: few Services have any.
    pub(crate) failure: Option<Box<Failure>>,
    /// Elements that belong to no frontend.
    pub(crate) elements: Vec<(SetId, SetElement)>,
    /// What may have to be changed in the kernel.
    pub(crate) pending: Vec<ObjectKey>,
    /// Some of its views have no marks yet.
    pub(crate) unmarked: bool,
    /// Whether it waits in the queue.
    pub(crate) queued: bool,
}

impl ServiceEntry {
    fn new(name: ObjectName) -> Self {
        Self {
            name,
            service: None,
            slices: 0,
            ports: Ports::default(),
            ready_here: HashMap::new(),
            specs: FrontendSpecs::default(),
            refused: Vec::new(),
            refusals: Vec::new(),
            changed: None,
            failure: None,
            elements: Vec::new(),
            pending: Vec::new(),
            unmarked: false,
            queued: false,
        }
    }

    /// How it asks for a frontend, if it does.
    pub(crate) fn spec(&self, frontend: &Frontend) -> Option<&FrontendSpec> {
        self.specs.get(frontend)
    }

    /// Of two Services with the same kind of claim to a frontend the one with the smaller value
    /// wins: the older.
    pub(crate) fn seniority(&self) -> (i64, &ObjectName) {
        (self.service.as_ref().map_or(i64::MAX, |service| service.created), &self.name)
    }

    /// Whether the Services that everything else needs come first: the API server's and DNS's.
    pub(crate) fn is_urgent(&self) -> bool {
        const DNS: u16 = 53;
        match (self.name.namespace(), self.name.name()) {
            ("default", "kubernetes") => true,
            ("kube-system", _) => self
                .service
                .as_ref()
                .is_some_and(|service| service.ports.iter().any(|port| port.port == DNS)),
            _ => false,
        }
    }

    fn is_idle(&self) -> bool {
        self.service.is_none() && self.slices == 0 && self.pending.is_empty() && !self.queued
    }
}

/// All Services. Number 0 is [`ServiceId::NOBODY`].
#[derive(Debug)]
pub(crate) struct Services {
    by_name: HashMap<ObjectName, ServiceId>,
    entries: Vec<Option<Box<ServiceEntry>>>,
    free: Vec<ServiceId>,
    /// How many have a Service, not only slices.
    pub(crate) count: usize,
}

impl Default for Services {
    fn default() -> Self {
        let nobody = ServiceEntry::new(ObjectName::new("", ""));
        Self {
            by_name: HashMap::new(),
            entries: vec![Some(Box::new(nobody))],
            free: Vec::new(),
            count: 0,
        }
    }
}

impl Services {
    pub(crate) fn find(&self, name: &ObjectName) -> Option<ServiceId> {
        self.by_name.get(name).copied()
    }

    /// The number of a Service, making an entry if need be.
    pub(crate) fn intern(&mut self, name: &ObjectName) -> ServiceId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let entry = Some(Box::new(ServiceEntry::new(name.clone())));
        let id = if let Some(id) = self.free.pop() {
            self.entries[id.0 as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            ServiceId(u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX))
        };
        self.by_name.insert(name.clone(), id);
        id
    }

    pub(crate) fn get(&self, id: ServiceId) -> Option<&ServiceEntry> {
        self.entries.get(id.0 as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: ServiceId) -> Option<&mut ServiceEntry> {
        self.entries.get_mut(id.0 as usize)?.as_deref_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServiceId, &ServiceEntry)> {
        (0u32..)
            .zip(&self.entries)
            .filter_map(|(number, entry)| Some((ServiceId(number), entry.as_deref()?)))
    }

    pub(crate) fn ids(&self) -> Vec<ServiceId> {
        self.iter().map(|(id, _)| id).filter(|id| *id != ServiceId::NOBODY).collect()
    }

    /// Forgets a Service of which nothing is left.
    pub(crate) fn tidy(&mut self, id: ServiceId) {
        if id == ServiceId::NOBODY || !self.get(id).is_some_and(ServiceEntry::is_idle) {
            return;
        }
        if let Some(entry) = self.entries[id.0 as usize].take() {
            self.by_name.remove(&entry.name);
            self.free.push(id);
        }
    }
}

/// A slice as it is kept: its endpoints in order of address, so that two states of it are compared
/// in one pass.
#[derive(Debug)]
pub(crate) struct StoredSlice {
    pub(crate) service: ServiceId,
    /// Place among the [`Ports`] of the Service, and the endpoint's port.
    pub(crate) ports: Vec<(u32, u16)>,
    pub(crate) endpoints: Box<[(IpAddr, EndpointState)]>,
}
