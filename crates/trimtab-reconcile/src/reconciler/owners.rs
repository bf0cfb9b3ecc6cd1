//! Which Service port the traffic of a virtual server is counted for.

use trimtab_core::objects::{ObjectName, TrafficMetrics};
use trimtab_core::{Frontend, Protocol};

use super::Reconciler;
use crate::desired::FrontendSpec;
use crate::operation::ServiceId;
use crate::services::ServiceEntry;

/// The Service port that has a frontend, by an address or by the mark of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The Service.
    pub service: ObjectName,
    /// Name of the port, or its number where it has no name.
    pub port: Box<str>,
    /// Protocol of the port.
    pub protocol: Protocol,
    /// Which metrics of its traffic the Service asks for.
    pub metrics: TrafficMetrics,
}

impl Reconciler {
    /// Takes the frontends that may be another Service port's since the last call, each with the one
    /// that has it now; `None` for one that is nobody's any more. Always empty unless
    /// [`crate::Settings::owners`] is set.
    pub fn take_owners(&mut self) -> Vec<(Frontend, Option<Owner>)> {
        let changed = std::mem::take(&mut self.work.owners);
        changed.into_iter().map(|frontend| (frontend, self.owner(frontend))).collect()
    }

    /// Notes that a frontend may be another Service port's than before.
    pub(super) fn owner_changed(&mut self, frontend: Frontend) {
        if self.settings.owners {
            self.work.owners.insert(frontend);
        }
    }

    /// Notes the same of all frontends of a Service.
    pub(super) fn owners_changed(&mut self, id: ServiceId) {
        let Some(entry) = self.input.services.get(id).filter(|_| self.settings.owners) else {
            return;
        };
        self.work.owners.extend(entry.specs.iter().map(|spec| spec.frontend));
    }

    fn owner(&self, frontend: Frontend) -> Option<Owner> {
        let entry = self.input.services.get(self.holder(frontend)?)?;
        let spec = entry.spec(&frontend)?;
        let service = entry.service.as_ref()?;
        Some(Owner {
            service: entry.name.clone(),
            port: port_label(entry, spec),
            protocol: spec.protocol,
            metrics: service.tuning.traffic_metrics,
        })
    }
}

/// Only the single port of a Service may have no name.
fn port_label(entry: &ServiceEntry, spec: &FrontendSpec) -> Box<str> {
    if !spec.port.is_empty() {
        return spec.port.clone();
    }
    let ports = entry.service.iter().flat_map(|service| &service.ports);
    let mut unnamed = ports.filter(|port| port.name.is_empty() && port.protocol == spec.protocol);
    unnamed.next().map(|port| port.port.to_string().into()).unwrap_or_default()
}
