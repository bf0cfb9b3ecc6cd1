//! Notifications from the kernel: changes of the node's own addresses, and of our objects by other
//! programs.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, warn};
use trimtab_core::DUMMY_INTERFACE;
use trimtab_host::route_monitor::{RouteChanges, RouteMonitor};
use trimtab_host::rules::RuleMonitor;
use trimtab_host::{VipBinding, dummy};
use trimtab_netlink::{Family, Socket};
use trimtab_reconcile::ports::HostNews;

use crate::error::Error;
use crate::known_addresses::KnownAddresses;

/// Time between two attempts to list addresses.
const RETRY: Duration = Duration::from_secs(2);

/// Sends this host's addresses, even if there are none, and again whenever they change, and the
/// VIPs that are unbound, until the receiver is gone. If another program changed the dummy
/// interface, it is restored, and `touched` is called.
///
/// # Errors
/// When the kernel cannot be subscribed to.
pub async fn follow_host(
    sender: Sender<HostNews>,
    binding: VipBinding,
    touched: impl Fn(),
) -> Result<(), Error> {
    // Creates the dummy interface if it is missing: its index must be known, so that VIPs added on
    // it do not count as changes of the node's addresses.
    let mut socket = Socket::open(Family::Route)?;
    let mut ours = dummy::ensure(&mut socket, DUMMY_INTERFACE)?;
    let mut monitor = RouteMonitor::subscribe(ours.index(), binding)?;
    let mut known = KnownAddresses::default();
    let mut last = None;
    let mut changed = RouteChanges { all_addresses: true, ..RouteChanges::default() };
    loop {
        if changed.interface {
            match dummy::restore(&mut socket, DUMMY_INTERFACE, ours) {
                Ok(restored) if restored == ours => {}
                Ok(restored) => {
                    warn!("{DUMMY_INTERFACE} was recreated: binding all VIPs to it");
                    ours = restored;
                    monitor.follow(ours.index())?;
                }
                // The audit retries, once per period.
                Err(error) => warn!(%error, "cannot restore {DUMMY_INTERFACE}"),
            }
            touched();
        }
        let unbound = std::mem::take(&mut changed.unbound);
        if !unbound.is_empty() && sender.send(HostNews::Unbound(unbound)).await.is_err() {
            return Ok(());
        }
        if changed.all_addresses || !changed.addresses.is_empty() {
            read(&mut known, &mut socket, &changed).await;
            let addresses = known.all();
            if last.as_ref() != Some(&addresses) {
                debug!(addresses = addresses.len(), "this host's addresses changed");
                last = Some(addresses.clone());
                if sender.send(HostNews::LocalAddresses(addresses)).await.is_err() {
                    return Ok(());
                }
            }
        }
        changed = monitor.changed().await;
    }
}

/// Reads what has changed.
async fn read(known: &mut KnownAddresses, socket: &mut Socket, changed: &RouteChanges) {
    if !changed.all_addresses && known.read(socket, &changed.addresses).is_ok() {
        return;
    }
    while let Err(error) = known.read_all(socket) {
        // Perhaps out of file descriptors or memory: keep the known addresses until listing works
        // again.
        warn!("{error}; retrying");
        sleep(RETRY).await;
    }
}

/// Calls `deleted` when rules were deleted that may be ours. If the kernel sends no notifications,
/// the audit still checks them once per period.
pub async fn follow_rules(deleted: impl Fn()) {
    match RuleMonitor::subscribe() {
        Ok(mut monitor) => loop {
            monitor.changed().await;
            deleted();
        },
        Err(error) => {
            warn!(%error, "deleted rules are only noticed at the next comparison");
            std::future::pending::<()>().await;
        }
    }
}
