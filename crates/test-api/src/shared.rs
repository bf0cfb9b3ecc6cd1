//! What connections, controls and the owner of the server share.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Config;
use super::counters::Counters;
use super::faults::{Cut, Faults};
use super::store::Store;

/// What connections, controls and the owner of the server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) seed: u64,
    pub(crate) store: Store,
    pub(crate) counters: watch::Sender<Counters>,
    /// Open watches end in this way when it changes.
    pub(crate) cuts: watch::Sender<Cut>,
    pub(crate) stop: watch::Sender<bool>,
    /// No connection is accepted before this time.
    pub(crate) outage: watch::Sender<Instant>,
    faults: Mutex<Faults>,
}

impl Shared {
    pub(crate) fn new(config: Config, address: SocketAddr, seed: u64) -> Self {
        Self {
            store: Store::new(config.history),
            config,
            address,
            seed,
            counters: watch::Sender::default(),
            cuts: watch::Sender::new(Cut::Clean),
            stop: watch::Sender::new(false),
            outage: watch::Sender::new(Instant::now()),
            faults: Mutex::default(),
        }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn drop_watches(&self, cut: Cut) {
        self.cuts.send_replace(cut);
    }

    pub(crate) fn refuse_connections(&self, time: Duration) {
        self.outage.send_replace(Instant::now() + time);
    }
}

/// Waits for the end; keeps no lock on the signal, as `wait_for` does.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without a sender there is no server either.
    let _ = stop.wait_for(|stop| *stop).await;
}
