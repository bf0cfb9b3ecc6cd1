//! Reading the kernel again where it is not as expected.

use tracing::{error, warn};
use trimtab_core::Frontend;
use trimtab_reconcile::Drift;

use super::SyncLoop;
use crate::AuditPart;
use trimtab_metrics as metric;

use crate::measure;
use trimtab_reconcile::ports::{DataPlane, PortError, adopt};

/// How many virtual servers are read again between two events: after `ipvsadm -C` it is all of them.
const AT_ONCE: usize = 64;

impl<D: DataPlane> SyncLoop<D> {
    /// Reads some of the virtual servers that are to be read again.
    pub(super) fn reread(&mut self) {
        for frontend in self.reconciler.take_to_reread(AT_ONCE) {
            match self.read(&frontend) {
                Ok(drift) => self.drift += drift,
                Err(error) => {
                    error!(%error, "cannot read virtual server {frontend}");
                }
            }
        }
    }

    /// Adopts the kernel anew where IPVS has lost what it held.
    pub(super) fn read_again_if_renewed(&mut self) {
        if self.plane.take_renewed()
            && let Err(error) = adopt(&mut self.reconciler, &mut self.plane)
        {
            error!(%error, "cannot read the kernel again, which the next comparison does");
        }
    }

    fn read(&mut self, frontend: &Frontend) -> Result<Drift, PortError> {
        let server = self.plane.virtual_server(frontend)?;
        let real_servers = match &server {
            Some(_) => self.plane.real_servers(frontend)?,
            None => Vec::new(),
        };
        let mut drift = self.reconciler.observe_virtual_server(*frontend, server.as_ref());
        drift += self.reconciler.observe_real_servers(*frontend, real_servers);
        Ok(drift)
    }

    /// Processes a part of a comparison.
    pub(super) fn compare(&mut self, part: AuditPart) {
        match part {
            AuditPart::Begin(begun) => {
                self.reconciler.begin_audit();
                // The auditor is gone if the program is exiting.
                let _ = begun.send(());
            }
            AuditPart::Elements(set, elements) => {
                self.drift += self.reconciler.audit_elements(set, &elements);
            }
            AuditPart::EndOfElements(set) => {
                self.drift += self.reconciler.end_audit_of_elements(set);
            }
            AuditPart::Addresses(addresses) => {
                self.drift += self.reconciler.audit_addresses(&addresses);
            }
            AuditPart::EndOfAddresses => self.drift += self.reconciler.end_audit_of_addresses(),
            AuditPart::VirtualServers(servers) => self.reconciler.audit_virtual_servers(&servers),
            AuditPart::EndOfVirtualServers => self.reconciler.end_audit_of_virtual_servers(),
            AuditPart::RealServers(all) => {
                for (frontend, servers) in all {
                    self.reconciler.audit_real_servers(frontend, servers);
                }
            }
            AuditPart::EndOfLook => self.tell_drift(),
            AuditPart::End => {
                metric::audited();
                self.compared.completed = Some(self.now());
                self.weigh_statistics();
                self.tell_drift();
            }
        }
    }

    /// Logs the drift found since the last call.
    fn tell_drift(&mut self) {
        let drift = std::mem::take(&mut self.drift);
        measure::drifted(&drift, &self.reconciler);
        if !drift.is_none() {
            self.compared.drift += drift;
            self.compared.last_drift = Some((self.now(), drift));
            warn!(
                virtual_servers = drift.virtual_servers,
                real_servers = drift.real_servers,
                elements = drift.elements,
                addresses = drift.addresses,
                "another program changed the kernel: repaired"
            );
        }
    }
}
