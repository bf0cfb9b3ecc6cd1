//! What the kernel counted, added up by Service port.
//!
//! The kernel counts by virtual server, from the moment it was made. A Service port has several
//! virtual servers, which come and go, so what was counted since the last reading is added to the
//! port's own counters. These never go back while the port exists, nor if it is back within
//! [`KEPT`] readings.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use trimtab_core::objects::{ObjectName, TrafficMetrics};
use trimtab_core::{Counters, Frontend, Protocol};
use trimtab_reconcile::Owner;

/// For so many readings, what was counted for a Service port or endpoint that is gone is kept, in
/// case that it comes back: ten minutes at the default interval.
pub(super) const KEPT: u32 = 20;

/// What identifies a Service port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PortKey {
    pub(super) service: ObjectName,
    pub(super) port: Box<str>,
    pub(super) protocol: Protocol,
}

/// The number of a Service port in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PortId(u32);

/// One Service port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) key: Arc<PortKey>,
    /// What its Service asks for.
    pub(super) metrics: TrafficMetrics,
    pub(super) total: Counters,
    /// Bytes of late: those of the last reading, half of those of the one before, and so on.
    pub(super) recent: u64,
    /// How many frontends it has.
    frontends: u32,
}

/// One frontend that is, or was, a Service port's.
#[derive(Debug)]
struct Metered {
    port: Option<PortId>,
    last: Counters,
}

/// All Service ports.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    frontends: HashMap<Frontend, Metered>,
    /// Frontends that nobody has any more, whose virtual servers may still be there.
    leaving: HashSet<Frontend>,
    by_key: HashMap<Arc<PortKey>, PortId>,
    ports: Vec<Option<Port>>,
    free: Vec<PortId>,
    /// Ports without a frontend, each with the number of readings that it is kept for.
    gone: HashMap<PortId, u32>,
    total: Counters,
}

impl Ledger {
    /// What was counted for all Service ports.
    pub(super) fn total(&self) -> &Counters {
        &self.total
    }

    /// How many Service ports there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len() - self.gone.len()
    }

    pub(super) fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.0 as usize)?.as_ref()
    }

    /// Whether a Service port has no frontend any more.
    pub(super) fn is_gone(&self, id: PortId) -> bool {
        self.gone.contains_key(&id)
    }

    /// The Service ports that have frontends.
    pub(super) fn ports(&self) -> impl Iterator<Item = (PortId, &Port)> {
        let ports = (0u32..).map(PortId).zip(&self.ports);
        ports.filter_map(|(id, port)| Some((id, port.as_ref().filter(|port| port.frontends > 0)?)))
    }

    /// The frontends of some Service ports.
    pub(super) fn frontends_of(
        &self,
        wanted: impl Fn(PortId) -> bool,
    ) -> impl Iterator<Item = (Frontend, PortId)> {
        let ports = self.frontends.iter().filter_map(|(frontend, it)| Some((*frontend, it.port?)));
        ports.filter(move |(_, port)| wanted(*port))
    }

    /// A frontend has another owner than before, or none.
    pub(super) fn assign(&mut self, frontend: Frontend, owner: Option<Owner>) {
        let port = owner.map(|owner| self.intern(owner));
        if port.is_none() && !self.frontends.contains_key(&frontend) {
            return;
        }
        let metered = self
            .frontends
            .entry(frontend)
            .or_insert(Metered { port: None, last: Counters::default() });
        let before = std::mem::replace(&mut metered.port, port);
        if let Some(port) = port {
            self.leaving.remove(&frontend);
            self.count_frontends(port, 1);
        } else {
            self.leaving.insert(frontend);
        }
        if let Some(before) = before {
            self.count_frontends(before, -1);
        }
    }

    /// The virtual server of a frontend was made again, and began to count at zero. Without being
    /// told, this is noticed only if it has counted less since than the one before had.
    pub(super) fn begins_anew(&mut self, frontend: &Frontend) {
        if let Some(metered) = self.frontends.get_mut(frontend) {
            metered.last = Counters::default();
        }
    }

    /// Adds what the kernel counted since the last reading.
    pub(super) fn read(&mut self, found: &[(Frontend, Counters)]) {
        for port in self.ports.iter_mut().flatten() {
            port.recent /= 2;
        }
        let mut lingering = HashSet::new();
        for (frontend, counters) in found {
            let Some(metered) = self.frontends.get_mut(frontend) else { continue };
            let more = counters.since(metered.last);
            metered.last = *counters;
            let Some(id) = metered.port else {
                lingering.insert(*frontend);
                continue;
            };
            if let Some(Some(port)) = self.ports.get_mut(id.0 as usize) {
                port.total += more;
                port.recent = port.recent.saturating_add(more.bytes());
            }
            self.total += more;
        }
        for gone in self.leaving.extract_if(|frontend| !lingering.contains(frontend)) {
            self.frontends.remove(&gone);
        }
        self.forget();
    }

    /// The number of a Service port, which is made if need be.
    fn intern(&mut self, owner: Owner) -> PortId {
        let Owner { service, port, protocol, metrics } = owner;
        let key = PortKey { service, port, protocol };
        if let Some(id) = self.by_key.get(&key) {
            if let Some(Some(port)) = self.ports.get_mut(id.0 as usize) {
                port.metrics = metrics;
            }
            return *id;
        }
        let key = Arc::new(key);
        let total = Counters::default();
        let port = Port { key: Arc::clone(&key), metrics, total, recent: 0, frontends: 0 };
        let id = if let Some(id) = self.free.pop() {
            self.ports[id.0 as usize] = Some(port);
            id
        } else {
            self.ports.push(Some(port));
            PortId(u32::try_from(self.ports.len() - 1).unwrap_or(u32::MAX))
        };
        self.by_key.insert(key, id);
        id
    }

    fn count_frontends(&mut self, id: PortId, more: i32) {
        let Some(Some(port)) = self.ports.get_mut(id.0 as usize) else { return };
        port.frontends = port.frontends.saturating_add_signed(more);
        if port.frontends == 0 {
            port.recent = 0;
            self.gone.insert(id, KEPT);
        } else {
            self.gone.remove(&id);
        }
    }

    /// Forgets Service ports that have been gone for long.
    fn forget(&mut self) {
        let late = self.gone.extract_if(|_, left| {
            *left -= 1;
            *left == 0
        });
        for (id, _) in late {
            if let Some(port) = self.ports[id.0 as usize].take() {
                self.by_key.remove(&port.key);
                self.free.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontend(host: u8) -> Frontend {
        Frontend::new(Protocol::Tcp, [10, 96, 0, host].into(), 80)
    }

    fn owner(name: &str) -> Owner {
        Owner {
            service: ObjectName::new("n", name),
            port: "http".into(),
            protocol: Protocol::Tcp,
            metrics: TrafficMetrics::Configured,
        }
    }

    fn counted(connections: u64) -> Counters {
        Counters { connections, bytes_in: connections * 100, ..Counters::default() }
    }

    fn connections(ledger: &Ledger, name: &str) -> Option<u64> {
        let mut ports = ledger.ports();
        ports
            .find(|(_, port)| port.key.service.name() == name)
            .map(|(_, port)| port.total.connections)
    }

    #[test]
    fn frontends_of_a_port_are_added_up_and_others_are_nobodys() {
        let mut ledger = Ledger::default();
        ledger.assign(frontend(1), Some(owner("a")));
        ledger.assign(frontend(2), Some(owner("a")));
        let mark = Frontend::Mark { mark: 7, family: trimtab_core::Family::V4 };
        ledger.assign(mark, Some(owner("a")));
        let foreign = (frontend(9), counted(1000));
        // What the kernel counted before the program started is the Service's, too.
        ledger.read(&[(frontend(1), counted(5)), (frontend(2), counted(7)), foreign]);
        assert_eq!(connections(&ledger, "a"), Some(12));
        ledger.read(&[(frontend(1), counted(6)), (mark, counted(2)), foreign]);
        assert_eq!(connections(&ledger, "a"), Some(15));
        assert_eq!(ledger.total().connections, 15);
        assert_eq!(ledger.len(), 1);
    }

    #[test]
    fn counters_never_go_back() {
        let mut ledger = Ledger::default();
        let one = frontend(1);
        ledger.assign(one, Some(owner("a")));
        ledger.read(&[(one, counted(5))]);
        // Made again between two readings.
        ledger.read(&[(one, counted(2))]);
        assert_eq!(connections(&ledger, "a"), Some(7));
        // Made again, and it has counted more since than the one before had.
        ledger.begins_anew(&one);
        ledger.read(&[(one, counted(3))]);
        assert_eq!(connections(&ledger, "a"), Some(10));
        // The Service is gone and comes back, and so is its virtual server.
        ledger.assign(one, None);
        ledger.read(&[]);
        assert_eq!(connections(&ledger, "a"), None);
        assert_eq!(ledger.len(), 0);
        ledger.assign(one, Some(owner("a")));
        ledger.read(&[(one, counted(1))]);
        assert_eq!(connections(&ledger, "a"), Some(11));
        assert_eq!(ledger.total().connections, 11);
    }

    #[test]
    fn a_virtual_server_that_lingers_is_not_counted_twice_when_its_owner_is_back() {
        let mut ledger = Ledger::default();
        let one = frontend(1);
        ledger.assign(one, Some(owner("a")));
        ledger.read(&[(one, counted(5))]);
        ledger.assign(one, None);
        ledger.read(&[(one, counted(6))]);
        ledger.assign(one, Some(owner("a")));
        ledger.read(&[(one, counted(8))]);
        assert_eq!(connections(&ledger, "a"), Some(7));
    }

    #[test]
    fn a_frontend_that_another_service_takes_over_counts_for_that_one_from_then_on() {
        let mut ledger = Ledger::default();
        let one = frontend(1);
        ledger.assign(one, Some(owner("a")));
        ledger.read(&[(one, counted(5))]);
        ledger.assign(one, Some(owner("b")));
        ledger.read(&[(one, counted(9))]);
        assert_eq!((connections(&ledger, "a"), connections(&ledger, "b")), (None, Some(4)));
    }

    #[test]
    fn what_has_been_gone_for_long_is_forgotten() {
        let mut ledger = Ledger::default();
        for round in 0..3 {
            for number in 0..100 {
                ledger.assign(frontend(number), Some(owner(&format!("{round}-{number}"))));
            }
            ledger.read(&[]);
        }
        for number in 0..100 {
            ledger.assign(frontend(number), None);
        }
        for _ in 0..=KEPT {
            ledger.read(&[]);
        }
        assert!(ledger.frontends.is_empty() && ledger.leaving.is_empty());
        assert!(ledger.by_key.is_empty() && ledger.gone.is_empty());
        assert!(ledger.ports.iter().all(Option::is_none));
    }
}
