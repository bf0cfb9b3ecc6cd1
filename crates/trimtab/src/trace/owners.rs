//! Which Service has a virtual server.

use trimtab_admin::{Protocol as TheirProtocol, Service};
use trimtab_core::{Family, Frontend, Protocol};
use trimtab_reconcile::Programmed;

/// Which Service has which virtual server, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(Vec<(Frontend, Owner)>);

/// A Service that has a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Namespace and name.
    pub(super) service: String,
    /// Whether something is still to be done for it.
    pub(super) is_pending: bool,
}

impl Owners {
    /// As a plan has them.
    pub fn planned(services: &[Programmed]) -> Self {
        let owned = |service: &Programmed| {
            let owner = Owner { service: service.service.to_string(), is_pending: false };
            let frontends = service.frontends.clone();
            frontends.into_iter().map(move |frontend| (frontend, owner.clone()))
        };
        Self(services.iter().flat_map(owned).collect())
    }

    /// Adds what the daemon tells of a Service.
    pub fn add(&mut self, service: &Service) {
        let owner = Owner {
            service: format!("{}/{}", service.namespace, service.name),
            is_pending: service.pending,
        };
        for it in service.frontends.iter().filter(|it| it.held_by.is_none()) {
            let family = if it.ipv6 { Family::V6 } else { Family::V4 };
            let marks = [it.mark, it.inside_mark].into_iter().flatten();
            let marks = marks.map(|mark| Frontend::Mark { mark, family });
            let address = it.address.zip(it.port);
            let address =
                address.map(|(address, port)| Frontend::new(of(it.protocol), address, port));
            self.0.extend(marks.chain(address).map(|frontend| (frontend, owner.clone())));
        }
    }

    /// The Service that has a virtual server.
    pub(super) fn of(&self, frontend: &Frontend) -> Option<&Owner> {
        self.0.iter().find(|(of, _)| of == frontend).map(|(_, owner)| owner)
    }
}

const fn of(protocol: TheirProtocol) -> Protocol {
    match protocol {
        TheirProtocol::Tcp => Protocol::Tcp,
        TheirProtocol::Udp => Protocol::Udp,
        TheirProtocol::Sctp => Protocol::Sctp,
    }
}
