//! The periodic comparison with the kernel.
//!
//! An audit is read beside the work, in pieces, so what it saw may be out of date when it gets
//! here. It therefore only raises suspicions about virtual servers, which are then read again; set
//! elements and addresses can be added and deleted twice without harm, so those are put right at
//! once.

use trimtab_core::{Frontend, RealServer, VirtualServer};

use super::Reconciler;
use crate::tables::{KnownServer, KnownVirtualServer};

impl Reconciler {
    /// A new audit begins.
    pub fn begin_audit(&mut self) {
        self.audit = self.audit.wrapping_add(1);
    }

    /// Some of the virtual servers that the kernel has.
    pub fn audit_virtual_servers<'a>(
        &mut self,
        servers: impl IntoIterator<Item = &'a VirtualServer>,
    ) {
        for server in servers {
            let frontend = server.frontend;
            let suspect = if let Some(entry) = self.tables.virtual_servers.get_mut(&frontend) {
                entry.seen = self.audit;
                entry.known != Some(KnownVirtualServer::of(server))
            } else {
                self.tables.ledger_has(&frontend)
            };
            if suspect {
                self.suspects.insert(frontend);
            }
        }
    }

    /// All virtual servers have been seen: those that should have been and were not are suspect.
    pub fn end_audit_of_virtual_servers(&mut self) {
        for (frontend, entry) in &self.tables.virtual_servers {
            if entry.known.is_some() && entry.seen != self.audit {
                self.suspects.insert(*frontend);
            }
        }
    }

    /// All real servers of one virtual server.
    pub fn audit_real_servers(
        &mut self,
        frontend: Frontend,
        servers: impl IntoIterator<Item = RealServer>,
    ) {
        let Some(entry) = self.tables.virtual_servers.get(&frontend) else { return };
        let known = entry.servers.values().filter(|real| real.known.is_some()).count();
        let mut seen = 0;
        let same = servers.into_iter().all(|server| {
            seen += 1;
            entry
                .servers
                .get(&server.key)
                .is_some_and(|real| real.known == Some(KnownServer::of(&server)))
        });
        if !same || seen != known {
            self.suspects.insert(frontend);
        }
    }

    /// Marks one virtual server as suspect.
    pub fn suspect(&mut self, frontend: Frontend) {
        self.suspects.insert(frontend);
    }
}
