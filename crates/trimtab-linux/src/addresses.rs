//! The node's own addresses, read again when the kernel says that they changed.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, warn};
use trimtab_core::DUMMY_INTERFACE;
use trimtab_core::objects::LocalAddress;
use trimtab_host::address_monitor::AddressMonitor;
use trimtab_host::dummy;
use trimtab_netlink::{Family, Socket};

use crate::error::Error;
use crate::host::local_addresses;

/// Time between two attempts to list addresses.
const RETRY: Duration = Duration::from_secs(2);

/// Sends this host's addresses, even if there are none, and again whenever they change, until the
/// receiver is gone.
///
/// # Errors
/// When the kernel cannot be subscribed to.
pub async fn follow_addresses(changes: Sender<Vec<LocalAddress>>) -> Result<(), Error> {
    // Creates the dummy interface if it is missing: its index must be known, so that VIPs added or
    // removed on it do not count as changes of the node's addresses.
    let mut socket = Socket::open(Family::Route)?;
    let ours = dummy::ensure(&mut socket, DUMMY_INTERFACE)?;
    let mut monitor = AddressMonitor::subscribe(ours.index())?;
    let mut last = None;
    loop {
        let addresses = match local_addresses() {
            Ok(addresses) => addresses,
            // Perhaps out of file descriptors or memory: keep the known addresses until listing
            // works again.
            Err(error) => {
                warn!("{error}; retrying");
                sleep(RETRY).await;
                continue;
            }
        };
        if last.as_ref() != Some(&addresses) {
            debug!(addresses = addresses.len(), "this host's addresses changed");
            last = Some(addresses.clone());
            if changes.send(addresses).await.is_err() {
                return Ok(());
            }
        }
        monitor.changed().await;
    }
}
