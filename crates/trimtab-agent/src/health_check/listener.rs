//! One listener of one Service, on one address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::debug;
use trimtab_core::objects::ObjectName;

use super::reply::reply;
use crate::health::Health;
use crate::http;
use trimtab_kube::warning::{Finding, ObjectKind, Origin, Regarding, WarningReason, Warnings};

/// Time between two attempts to bind a port that another program uses.
const RETRY: Duration = Duration::from_secs(5);
/// The most connections of one listener; there may be thousands of listeners.
const CONNECTIONS: usize = 16;

/// What the listeners of one Service share.
#[derive(Debug)]
pub(super) struct Place {
    service: ObjectName,
    health: Arc<Health>,
    warnings: Arc<Warnings>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    uid: Box<str>,
    /// Where it cannot listen, and why.
    failures: BTreeMap<SocketAddr, String>,
}

impl Place {
    pub(super) fn new(service: ObjectName, health: Arc<Health>, warnings: Arc<Warnings>) -> Self {
        Self { service, health, warnings, state: Mutex::default() }
    }

    /// The Service has this uid.
    pub(super) fn belongs_to(&self, uid: &str) {
        self.change(|state| {
            let changed = *state.uid != *uid;
            if changed {
                state.uid = uid.into();
            }
            changed
        });
    }

    /// Nothing is wrong at this address.
    pub(super) fn listens(&self, at: SocketAddr) {
        self.change(|state| state.failures.remove(&at).is_some());
    }

    fn fails(&self, at: SocketAddr, error: &std::io::Error) {
        let message = format!("spec.healthCheckNodePort: cannot listen on {at}: {error}");
        self.change(|state| state.failures.insert(at, message.clone()).as_ref() != Some(&message));
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut state) {
            return;
        }
        let found: Vec<Finding> = state
            .failures
            .values()
            .map(|message| Finding {
                reason: WarningReason::HealthCheckPort,
                message: message.clone(),
            })
            .collect();
        let regarding = || Regarding {
            kind: ObjectKind::Service,
            name: self.service.clone(),
            uid: state.uid.clone(),
        };
        self.warnings.set(&Origin::HealthCheck(self.service.clone()), regarding, &found);
    }
}

/// A listener that is open, or is being opened.
#[derive(Debug)]
pub(super) struct Listener {
    local_endpoints: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Opens it, and retries until that succeeds.
    pub(super) fn open(at: SocketAddr, place: Arc<Place>) -> Self {
        let local_endpoints = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&local_endpoints);
        let task = tokio::spawn(async move {
            loop {
                match http::listen(at) {
                    Ok(listener) => {
                        debug!(service = %place.service, %at, "health check listens");
                        place.listens(at);
                        let (service, health) = (place.service.clone(), Arc::clone(&place.health));
                        let count = Arc::clone(&count);
                        let answer = move |_: &http::Ask<'_>| {
                            reply(&service, count.load(Ordering::Relaxed), health.is_healthy())
                        };
                        http::serve(&listener, CONNECTIONS, &Arc::new(answer)).await;
                    }
                    Err(error) => place.fails(at, &error),
                }
                tokio::time::sleep(RETRY).await;
            }
        });
        Self { local_endpoints, task }
    }

    /// Sets the number of endpoints to report.
    pub(super) fn set_local_endpoints(&self, count: usize) {
        self.local_endpoints.store(count, Ordering::Relaxed);
    }

    /// Closes it and its connections, and returns when the port is free.
    pub(super) async fn close(self) {
        self.task.abort();
        // The result is always "cancelled".
        let _ = self.task.await;
    }
}
