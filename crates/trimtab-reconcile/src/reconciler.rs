//! The reconciler: objects in, plans out.

mod answer;
mod audit;
mod claims;
mod drain;
mod elements;
mod explain;
mod feed;
mod health_check;
mod local_endpoints;
mod marks;
mod names;
mod node_weights;
mod observe;
mod owners;
mod planning;
mod problems;
mod programmed;
mod real_servers;
mod report;
mod slices;

#[cfg(test)]
mod linear;

use std::net::IpAddr;
use std::time::Duration;

pub use health_check::{HealthCheck, HealthCheckFamily};
pub use local_endpoints::WithoutLocalEndpoints;
pub use observe::Drift;
pub use owners::Owner;
pub use programmed::Programmed;

use crate::input::Input;
use crate::model::Model;
use crate::operation::ServiceId;
use crate::order;
use crate::services::ServiceEntry;
use crate::settings::Settings;
use crate::tables::ObjectKey;
use crate::work::Work;

/// Keeps what the kernel should hold and what it is known to hold, and plans the difference.
///
/// Time is an argument: a [`Duration`] since any fixed moment, never going back.
#[derive(Debug)]
pub struct Reconciler {
    settings: Settings,
    order_seed: u64,
    input: Input,
    model: Model,
    work: Work,
}

impl Reconciler {
    /// A reconciler that knows no object and believes the kernel to be empty.
    pub fn new(settings: Settings) -> Self {
        Self {
            order_seed: order::seed(&settings.node_name),
            input: Input::new(&settings),
            model: Model::new(&settings),
            work: Work::default(),
            settings,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether there is nothing to plan now.
    pub fn is_idle(&self) -> bool {
        self.work.is_idle()
    }

    /// How many Services wait to be planned.
    pub fn backlog(&self) -> usize {
        self.work.backlog()
    }

    /// How many Services are proxied.
    pub fn service_count(&self) -> usize {
        self.input.services.count
    }

    /// How many objects failed and wait to be tried again.
    pub fn retrying(&self) -> usize {
        self.work.retries.len()
    }

    /// How many Services have something that failed and waits to be tried again, with what belongs
    /// to none counted as one.
    pub fn failing_services(&self) -> usize {
        self.work.retries.service_count()
    }

    /// Whether something failed of the Services that everything else needs: the API server's and
    /// DNS's.
    pub fn fails_essentially(&self) -> bool {
        let mut ids = self.work.retries.iter_services();
        ids.any(|id| self.input.services.get(id).is_some_and(ServiceEntry::is_urgent))
    }

    /// VIPs that are wanted and not bound yet.
    pub fn unbound(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let unbound =
            self.model.tables.addresses.iter().filter(|(_, it)| it.wanted > 0 && !it.present);
        unbound.map(|(address, _)| *address)
    }

    /// When [`Reconciler::plan`] has something to do even if nothing else happens.
    pub fn next_retry(&self) -> Option<Duration> {
        self.work.next_retry()
    }

    /// Notes that an object may have to be changed, on behalf of a Service.
    fn touch(&mut self, id: ServiceId, object: ObjectKey) {
        // What is left of a Service that is gone is nobody's.
        let id = if self.input.services.get(id).is_some() { id } else { ServiceId::NOBODY };
        let Some(entry) = self.input.services.get_mut(id) else { return };
        entry.pending.push(object);
        self.enqueue(id);
    }

    /// Puts a Service into the queue, unless it is there.
    fn enqueue(&mut self, id: ServiceId) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if !entry.queued {
            entry.queued = true;
            self.work.enqueue(id, entry.is_urgent());
        }
    }
}
