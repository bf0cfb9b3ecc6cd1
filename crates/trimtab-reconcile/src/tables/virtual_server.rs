//! One virtual server, wanted and known.

use std::time::Duration;

use hashbrown::HashMap;
use trimtab_core::{
    ForwardingMethod, Protocol, RealServer, RealServerKey, Scheduler, Tunnel, VirtualServer,
    VirtualServerFlags,
};

use crate::desired::Options;
use crate::operation::ServiceId;
use crate::tables::Deadline;

/// A virtual server that is wanted, or that the kernel has, or both.
#[derive(Debug, Default)]
pub(crate) struct VirtualServerEntry {
    /// Who has it and how it should be.
    pub(crate) wanted: Option<Wanted>,
    /// Other Services that ask for the same frontend.
    pub(crate) rivals: Vec<ServiceId>,
    /// How the kernel has it.
    pub(crate) known: Option<KnownVirtualServer>,
    /// Its real servers.
    pub(crate) servers: HashMap<RealServerKey, ServerEntry>,
    /// All of it is to be planned again, so single real servers need not be noted.
    pub(crate) replan: bool,
    /// The last audit that saw it.
    pub(crate) seen: u32,
}

/// Who has a frontend and how it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) service: ServiceId,
    /// Of its packets; a frontend that is a mark does not say.
    pub(crate) protocol: Protocol,
    pub(crate) options: Options,
    /// Upper threshold of each real server.
    pub(crate) max_connections: u32,
    /// How long a real server that left may keep its connections.
    pub(crate) drain: Duration,
}

/// How the kernel has a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownVirtualServer {
    pub(crate) options: Options,
    /// It has something that we never ask for (a persistence engine).
    pub(crate) foreign_settings: bool,
}

impl KnownVirtualServer {
    /// It is there, and how it is has not been read.
    pub(crate) const UNREAD: Self = Self {
        options: Options {
            scheduler: Scheduler::RoundRobin,
            flags: VirtualServerFlags::empty(),
            persistence: None,
        },
        foreign_settings: true,
    };

    pub(crate) fn of(server: &VirtualServer) -> Self {
        Self {
            options: Options::of_virtual_server(server),
            foreign_settings: server.persistence_engine.is_some(),
        }
    }
}

/// A real server that is wanted, or that the kernel has, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerEntry {
    /// The weight it should have.
    pub(crate) wanted: Option<u16>,
    /// How the kernel has it.
    pub(crate) known: Option<KnownServer>,
    /// It is on its way out and keeps its connections until this time.
    pub(crate) drain_until: Option<Deadline>,
}

/// How the kernel has a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownServer {
    pub(crate) weight: u32,
    pub(crate) upper_threshold: u32,
    /// It has something that we never ask for: another forwarding method, a tunnel, a lower
    /// threshold.
    pub(crate) foreign_settings: bool,
}

impl KnownServer {
    pub(crate) fn of(server: &RealServer) -> Self {
        Self {
            weight: server.weight,
            upper_threshold: server.upper_threshold,
            foreign_settings: server.forwarding != ForwardingMethod::Masquerade
                || server.lower_threshold != 0
                || server.tunnel != Tunnel::default(),
        }
    }
}

impl VirtualServerEntry {
    /// Sets the weight that a real server should have; whether that changed anything.
    pub(crate) fn want_server(&mut self, key: RealServerKey, weight: Option<u16>) -> bool {
        match weight {
            Some(_) => {
                let server = self.servers.entry(key).or_default();
                let changed = server.wanted != weight;
                server.wanted = weight;
                changed
            }
            None => match self.servers.get_mut(&key) {
                Some(server) => server.wanted.take().is_some(),
                None => false,
            },
        }
    }
}
