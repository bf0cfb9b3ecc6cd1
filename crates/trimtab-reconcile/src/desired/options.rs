//! The options of a virtual server.

use trimtab_core::{
    Family, Frontend, Persistence, Protocol, Scheduler, VirtualServer, VirtualServerFlags,
};

use super::NodeView;
use crate::settings::Settings;
use trimtab_core::objects::Service;

/// What a virtual server is besides its frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) scheduler: Scheduler,
    pub(crate) flags: VirtualServerFlags,
    pub(crate) persistence: Option<Persistence>,
}

impl Options {
    /// What a port of `service` asks for.
    pub(crate) fn of(
        service: &Service,
        protocol: Protocol,
        family: Family,
        node: &NodeView,
        settings: &Settings,
    ) -> Self {
        let tuning = &service.tuning;
        let (scheduler, flags) = match tuning.scheduler {
            // Flags are meant for the scheduler that was asked for.
            Some(asked) if node.lacks(asked) => (settings.scheduler, None),
            asked => (asked.unwrap_or(settings.scheduler), tuning.scheduler_flags),
        };
        let mut flags = flags.unwrap_or(match scheduler {
            // As kube-proxy does: without the port, all of a client's connections meet one server.
            Scheduler::MaglevHashing => VirtualServerFlags::HASH_PORT,
            _ => VirtualServerFlags::empty(),
        });
        if tuning.one_packet && protocol == Protocol::Udp {
            flags |= VirtualServerFlags::ONE_PACKET;
        }
        Self {
            scheduler,
            flags,
            persistence: service.affinity.map(|s| Persistence::per_address(family, s)),
        }
    }

    /// These options for a view that is behind a mark.
    ///
    /// There IPVS's persistence does not translate ports: a connection goes to the real server's
    /// address at the port that the client asked for (`ip_vs_sched_persist`,
    /// net/netfilter/ipvs/ip_vs_core.c). So a client is kept with its endpoint by a hash of its
    /// address; where endpoints come and go, Maglev's moves few clients to others.
    pub(crate) fn of_view(mut self, node: &NodeView) -> Self {
        if self.persistence.take().is_some() {
            let maglev = Scheduler::MaglevHashing;
            self.scheduler = if node.lacks(maglev) { Scheduler::SourceHashing } else { maglev };
            self.flags &= VirtualServerFlags::ONE_PACKET;
        }
        self
    }

    /// The options of `server`.
    pub(crate) fn of_virtual_server(server: &VirtualServer) -> Self {
        Self { scheduler: server.scheduler, flags: server.flags, persistence: server.persistence }
    }

    /// Whether real servers can be drained. By hash of the destination alone, one of weight 0 is
    /// given connections all the same, and they are refused.
    pub(crate) fn can_drain(&self) -> bool {
        self.scheduler != Scheduler::DestinationHashing
    }

    /// These options while a real server drains: the hashes that would refuse who is meant for it
    /// fall back to another.
    pub(crate) fn while_draining(mut self) -> Self {
        if matches!(self.scheduler, Scheduler::SourceHashing | Scheduler::MaglevHashing) {
            self.flags |= VirtualServerFlags::HASH_FALLBACK;
        }
        self
    }

    /// A virtual server with these options.
    pub(crate) fn at(&self, frontend: Frontend) -> VirtualServer {
        VirtualServer {
            frontend,
            scheduler: self.scheduler,
            flags: self.flags,
            persistence: self.persistence,
            persistence_engine: None,
        }
    }
}
