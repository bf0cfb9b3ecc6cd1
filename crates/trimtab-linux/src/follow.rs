//! Notifications from the kernel: changes of the node's own addresses, and of our objects by other
//! programs.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, warn};
use trimtab_core::DUMMY_INTERFACE;
use trimtab_core::objects::LocalAddress;
use trimtab_host::route_monitor::{RouteChanges, RouteMonitor};
use trimtab_host::rules::RuleMonitor;
use trimtab_host::{VipBinding, dummy};
use trimtab_netlink::{Family, Socket};
use trimtab_reconcile::ports::HostNews;

use crate::error::Error;
use crate::host::local_addresses;

/// Time between two attempts to list addresses.
const RETRY: Duration = Duration::from_secs(2);

/// Sends this host's addresses, even if there are none, and again whenever they change, and the VIPs
/// that are unbound, until the receiver is gone. When somebody touched the dummy interface, it is had
/// back, and `touched` is called.
///
/// # Errors
/// When the kernel cannot be subscribed to.
pub async fn follow_host(
    sender: Sender<HostNews>,
    binding: VipBinding,
    touched: impl Fn(),
) -> Result<(), Error> {
    // The dummy interface is made here if it is missing: its number must be known, so that the VIPs
    // that come on it are not taken for changes of the node.
    let mut socket = Socket::open(Family::Route)?;
    let mut ours = dummy::ensure(&mut socket, DUMMY_INTERFACE)?;
    let mut monitor = RouteMonitor::subscribe(ours.index(), binding)?;
    let mut last = None;
    let mut changed = RouteChanges { addresses: true, ..RouteChanges::default() };
    loop {
        if changed.interface {
            match dummy::restore(&mut socket, DUMMY_INTERFACE, ours) {
                Ok(restored) if restored == ours => {}
                Ok(restored) => {
                    warn!("{DUMMY_INTERFACE} is another interface now: binding all VIPs to it");
                    ours = restored;
                    monitor.follow(ours.index())?;
                }
                // The audit tries again, once a period.
                Err(error) => warn!(%error, "cannot have {DUMMY_INTERFACE} back"),
            }
            touched();
        }
        if !changed.unbound.is_empty()
            && sender.send(HostNews::Unbound(changed.unbound)).await.is_err()
        {
            return Ok(());
        }
        if changed.addresses {
            let addresses = listed().await;
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

async fn listed() -> Vec<LocalAddress> {
    loop {
        match local_addresses() {
            Ok(addresses) => return addresses,
            // Out of descriptors or memory, perhaps: what is known stays until that is over.
            Err(error) => {
                warn!("{error}, trying again");
                sleep(RETRY).await;
            }
        }
    }
}

/// Calls `deleted` when rules were deleted that may be ours. Where the kernel does not tell, they are
/// looked at once a period all the same.
pub async fn follow_rules(deleted: impl Fn()) {
    match RuleMonitor::subscribe() {
        Ok(mut monitor) => loop {
            monitor.changed().await;
            deleted();
        },
        Err(error) => {
            warn!(%error, "rules that somebody deletes are noticed at the next comparison only");
            std::future::pending::<()>().await;
        }
    }
}
