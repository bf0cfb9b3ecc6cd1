//! Health-check node ports: how many endpoints of a Service this node has.
//!
//! Load balancers ask each node on `spec.healthCheckNodePort` whether it has endpoints of its own
//! for a Service whose external traffic stays on the node.

use std::net::IpAddr;

use trimtab_core::Family;

use super::Reconciler;
use crate::operation::ServiceId;
use trimtab_core::objects::{ObjectName, Service};

/// What the health-check node port of one Service says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Its uid, for Events.
    pub uid: Box<str>,
    /// `spec.healthCheckNodePort`.
    pub port: u16,
    /// One for each family that the Service has here.
    pub families: Vec<HealthCheckFamily>,
}

/// The part of a [`HealthCheck`] that is of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckFamily {
    /// The addresses to listen on; the unspecified one for all.
    pub addresses: Vec<IpAddr>,
    /// Distinct addresses of ready endpoints on this node, over all ports of the Service.
    pub local_endpoints: usize,
}

impl Reconciler {
    /// Takes the Services whose health check changed since the last call; `None` for one that has
    /// none any more.
    pub fn take_health_checks(&mut self) -> Vec<(ObjectName, Option<HealthCheck>)> {
        let names: Vec<ObjectName> = self.work.health_checks.drain().collect();
        let with_state = |name: ObjectName| {
            let state = self.input.services.find(&name).and_then(|id| self.health_check(id));
            (name, state)
        };
        names.into_iter().map(with_state).collect()
    }

    fn health_check(&self, id: ServiceId) -> Option<HealthCheck> {
        let entry = self.input.services.get(id)?;
        let service = entry.service.as_deref().filter(|service| has_health_check(service))?;
        let families = service.cluster_ips.iter().map(|address| Family::of(*address));
        let families = families.filter(|family| self.settings.families.contains(family));
        let of_family = |family| HealthCheckFamily {
            addresses: self.input.node.health_check_addresses(family).to_vec(),
            local_endpoints: entry.ready_here.keys().filter(|a| Family::of(**a) == family).count(),
        };
        Some(HealthCheck {
            uid: service.uid.clone(),
            port: service.health_check_node_port,
            families: families.map(of_family).collect(),
        })
    }

    /// Notes that what a Service's health check says may be another now.
    pub(super) fn health_check_changed(&mut self, name: &ObjectName) {
        if !self.work.health_checks.contains(name) {
            self.work.health_checks.insert(name.clone());
        }
    }
}

pub(super) const fn has_health_check(service: &Service) -> bool {
    service.health_check_node_port != 0
}
