//! The node's own addresses, kept up to date one interface at a time: with thousands of VIPs on the
//! dummy interface, listing all addresses for each pod that starts or ends would cost far more.

use std::collections::{BTreeMap, BTreeSet};

use trimtab_core::objects::LocalAddress;
use trimtab_host::address;
use trimtab_netlink::Socket;

use crate::error::Error;
use crate::host::local;

/// The addresses by the number of their interface.
#[derive(Debug, Default)]
pub(crate) struct KnownAddresses {
    by_interface: BTreeMap<u32, Vec<LocalAddress>>,
}

impl KnownAddresses {
    /// Reads all of them.
    ///
    /// # Errors
    /// When the kernel does not list them; what was known stays.
    pub(crate) fn read_all(&mut self, socket: &mut Socket) -> Result<(), Error> {
        let listed = address::list(socket).map_err(Error::LocalAddresses)?;
        self.by_interface.clear();
        for found in &listed {
            if let Some(own) = local(found) {
                self.by_interface.entry(found.index).or_default().push(own);
            }
        }
        Ok(())
    }

    /// Reads those of some interfaces again.
    ///
    /// # Errors
    /// As [`Self::read_all`].
    pub(crate) fn read(
        &mut self,
        socket: &mut Socket,
        interfaces: &BTreeSet<u32>,
    ) -> Result<(), Error> {
        for interface in interfaces {
            let listed = address::list_of(socket, *interface).map_err(Error::LocalAddresses)?;
            let own: Vec<LocalAddress> = listed.iter().filter_map(local).collect();
            if own.is_empty() {
                self.by_interface.remove(interface);
            } else {
                self.by_interface.insert(*interface, own);
            }
        }
        Ok(())
    }

    /// All that are known, in order of interface.
    pub(crate) fn all(&self) -> Vec<LocalAddress> {
        self.by_interface.values().flatten().cloned().collect()
    }
}
