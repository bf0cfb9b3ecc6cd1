//! Open connections of the Service ports that are shown, and what their endpoints have.

use hashbrown::{HashMap, HashSet};
use trimtab_core::{Counters, Frontend, RealServerKey};
use trimtab_metrics::traffic::Traffic;
use trimtab_reconcile::ports::RealServerCounters;

use super::ledger::{KEPT, PortId};

/// One endpoint of a Service port: it may be behind several of the port's frontends.
pub(super) type EndpointKey = (PortId, RealServerKey);

/// What was last read of one virtual server's real servers.
#[derive(Debug, Default)]
struct Read {
    open: (u64, u64),
    /// Only where endpoints are shown.
    servers: HashMap<RealServerKey, RealServerCounters>,
}

#[derive(Debug)]
struct Endpoint {
    total: Counters,
    /// How many readings it is kept for.
    left: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    read: HashMap<Frontend, (PortId, Read)>,
    totals: HashMap<EndpointKey, Endpoint>,
    /// How many endpoints should be shown, and are not because there are too many.
    left_out: HashSet<EndpointKey>,
}

impl Endpoints {
    /// Forgets what is not shown any more: a frontend's open connections, and endpoints that have
    /// been gone for long or that are not `kept_of` their Service port. To be called once per reading.
    pub(super) fn keep(
        &mut self,
        is_shown: impl Fn(&Frontend, PortId) -> bool,
        kept_of: impl Fn(PortId) -> bool,
    ) {
        self.read.retain(|frontend, (port, _)| is_shown(frontend, *port));
        self.left_out.clear();
        let servers = |(port, read): &(PortId, Read)| {
            let port = *port;
            read.servers.keys().map(move |server| (port, *server)).collect::<Vec<_>>()
        };
        let present: HashSet<EndpointKey> = self.read.values().flat_map(servers).collect();
        self.totals.retain(|key, endpoint| {
            endpoint.left =
                if present.contains(key) { KEPT } else { endpoint.left.saturating_sub(1) };
            endpoint.left > 0 && kept_of(key.0)
        });
    }

    /// The virtual server of a frontend was made again: its real servers began to count at zero.
    pub(super) fn begins_anew(&mut self, frontend: &Frontend) {
        if let Some((_, read)) = self.read.get_mut(frontend) {
            for server in read.servers.values_mut() {
                server.counters = Counters::default();
            }
        }
    }

    /// Takes what was read of the real servers of a frontend. At most `most` endpoints are counted.
    pub(super) fn take(
        &mut self,
        frontend: Frontend,
        port: PortId,
        by_endpoint: bool,
        found: &[RealServerCounters],
        most: usize,
    ) {
        let (_, before) = self.read.remove(&frontend).unwrap_or((port, Read::default()));
        let mut now = Read::default();
        for server in found {
            now.open.0 += u64::from(server.active);
            now.open.1 += u64::from(server.inactive);
            if !by_endpoint {
                continue;
            }
            let key = (port, server.key);
            if self.totals.len() >= most && !self.totals.contains_key(&key) {
                self.left_out.insert(key);
                continue;
            }
            let last = before.servers.get(&server.key).map(|server| server.counters);
            let new = Endpoint { total: Counters::default(), left: KEPT };
            let endpoint = self.totals.entry(key).or_insert(new);
            endpoint.total += server.counters.since(last.unwrap_or_default());
            now.servers.insert(server.key, *server);
        }
        self.read.insert(frontend, (port, now));
    }

    /// How many endpoints should be shown, and are not.
    pub(super) fn left_out(&self) -> usize {
        self.left_out.len()
    }

    /// Active and inactive connections of each Service port, as far as they have been read.
    pub(super) fn open(&self) -> HashMap<PortId, (u64, u64)> {
        let mut open: HashMap<PortId, (u64, u64)> = HashMap::new();
        for (port, read) in self.read.values() {
            let sum = open.entry(*port).or_default();
            *sum = (sum.0 + read.open.0, sum.1 + read.open.1);
        }
        open
    }

    /// What each endpoint that exists has.
    pub(super) fn traffic(&self) -> HashMap<EndpointKey, Traffic> {
        let mut traffic: HashMap<EndpointKey, Traffic> = HashMap::new();
        for (port, read) in self.read.values() {
            for server in read.servers.values() {
                let key = (*port, server.key);
                let Some(endpoint) = self.totals.get(&key) else { continue };
                let sum = traffic
                    .entry(key)
                    .or_insert(Traffic { counters: endpoint.total, open: Some((0, 0)) });
                let (active, inactive) = sum.open.unwrap_or_default();
                sum.open = Some((
                    active + u64::from(server.active),
                    inactive + u64::from(server.inactive),
                ));
            }
        }
        traffic
    }
}
