//! Health-check node ports: an HTTP server for each Service with `externalTrafficPolicy: Local`,
//! which tells load balancers whether this node has endpoints of it.
//!
//! The loop stores the desired health checks in [`HealthChecks`] and never waits;
//! [`HealthChecks::serve`] opens, changes and closes the listeners of the Services that changed.

mod listener;
mod reply;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tokio::sync::Notify;
use trimtab_core::objects::ObjectName;
use trimtab_reconcile::HealthCheck;

use crate::health::Health;
use listener::{Listener, Place};
use trimtab_kube::warning::{Origin, Warnings};

/// Desired health checks that have changed since they were last taken.
#[derive(Debug, Default)]
pub struct HealthChecks {
    changes: Mutex<HashMap<ObjectName, Option<HealthCheck>>>,
    changed: Notify,
}

impl HealthChecks {
    /// Sets a Service's desired health check; `None` if it should have none.
    pub fn set(&self, service: ObjectName, wanted: Option<HealthCheck>) {
        self.changes().insert(service, wanted);
        self.changed.notify_one();
    }

    /// Serves until the task is dropped.
    pub async fn serve(self: Arc<Self>, health: Arc<Health>, warnings: Arc<Warnings>) {
        let mut open: HashMap<ObjectName, Open> = HashMap::new();
        loop {
            self.changed.notified().await;
            let changes = std::mem::take(&mut *self.changes());
            // A port may move from one Service to another, so close before opening.
            for (name, wanted) in &changes {
                if let Some(mut one) = open.remove(name) {
                    one.close_all_but(wanted.as_ref()).await;
                    if wanted.is_some() {
                        open.insert(name.clone(), one);
                    } else {
                        warnings.clear(&Origin::HealthCheck(name.clone()));
                    }
                }
            }
            for (name, wanted) in changes {
                let Some(wanted) = wanted else { continue };
                let one = open.entry(name.clone()).or_insert_with(|| Open {
                    place: Arc::new(Place::new(name, Arc::clone(&health), Arc::clone(&warnings))),
                    listeners: HashMap::new(),
                });
                one.adjust(&wanted);
            }
        }
    }

    fn changes(&self) -> MutexGuard<'_, HashMap<ObjectName, Option<HealthCheck>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listeners of one Service.
struct Open {
    place: Arc<Place>,
    listeners: HashMap<SocketAddr, Listener>,
}

impl Open {
    async fn close_all_but(&mut self, wanted: Option<&HealthCheck>) {
        let keep: Vec<SocketAddr> =
            wanted.into_iter().flat_map(sockets).map(|(at, _)| at).collect();
        let closing = self.listeners.extract_if(|at, _| !keep.contains(at));
        for (at, listener) in closing.collect::<Vec<_>>() {
            listener.close().await;
            self.place.listens(at);
        }
    }

    fn adjust(&mut self, wanted: &HealthCheck) {
        self.place.belongs_to(&wanted.uid);
        for (at, count) in sockets(wanted) {
            self.listeners
                .entry(at)
                .or_insert_with(|| Listener::open(at, Arc::clone(&self.place)))
                .set_local_endpoints(count);
        }
    }
}

/// The addresses of a health check, each with the number of endpoints to report there.
fn sockets(wanted: &HealthCheck) -> impl Iterator<Item = (SocketAddr, usize)> {
    let port = wanted.port;
    wanted.families.iter().flat_map(move |family| {
        let count = family.local_endpoints;
        family.addresses.iter().map(move |address| (SocketAddr::new(*address, port), count))
    })
}
