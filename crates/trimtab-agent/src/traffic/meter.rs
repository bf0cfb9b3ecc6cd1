//! Reads what IPVS counts, on time and within its share of a processor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use trimtab_config::TrafficOptions;
use trimtab_core::{Frontend, RealServerKey};
use trimtab_metrics::traffic::{self as metrics, EndpointTraffic, PortTraffic, Reading, Traffic};
use trimtab_reconcile::ports::{Metering, PortError};

use super::choice::Choice;
use super::endpoints::Endpoints;
use super::ledger::{Ledger, PortId, PortKey};
use super::owners::Owners;
use super::shown::Shown;
use crate::health::Health;

/// Reading all virtual servers takes at most this share of a processor, half a percent: if one
/// reading per interval would take more, there are fewer.
const SHARE: u32 = 200;
/// Reading real servers takes at most this share besides, 0.4 percent: so all of it stays below one
/// percent. Only processor time counts, not waiting.
const STRIDE_SHARE: u32 = 250;
/// The number of virtual servers whose real servers are read in one stride: on a node with one
/// processor an event may have to wait for it, some tenths of a millisecond.
const STRIDE: usize = 16;
/// How often to ask whether the kernel has been programmed for the first time.
const POLL: Duration = Duration::from_secs(1);

/// Reads the counters and writes what is shown of them.
#[derive(Debug)]
pub struct Meter<M> {
    kernel: M,
    options: TrafficOptions,
    owners: Arc<Owners>,
    health: Arc<Health>,
    shown: Arc<Shown>,
    stop: watch::Receiver<bool>,
    ledger: Ledger,
    choice: Choice,
    endpoints: Endpoints,
    /// The frontends of the Service ports that are shown whose real servers are still to be read.
    to_read: Vec<(Frontend, PortId)>,
    /// The pause after a stride that spreads the strides evenly.
    even: Duration,
    read_at: Instant,
    stride_at: Instant,
    reading: Reading,
    cpu_start: Duration,
}

impl<M: Metering> Meter<M> {
    /// A meter that writes to `shown`. It ends when `stop` says so.
    pub fn new(
        kernel: M,
        options: TrafficOptions,
        owners: Arc<Owners>,
        health: Arc<Health>,
        shown: Arc<Shown>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let now = Instant::now();
        Self {
            kernel,
            options,
            owners,
            health,
            shown,
            stop,
            ledger: Ledger::default(),
            choice: Choice::default(),
            endpoints: Endpoints::default(),
            to_read: Vec::new(),
            even: Duration::ZERO,
            read_at: now,
            stride_at: now,
            reading: Reading::default(),
            cpu_start: Duration::ZERO,
        }
    }

    /// Reads until told to stop.
    pub async fn run(mut self) {
        self.cpu_start = self.kernel.cpu_time();
        // While the kernel is programmed for the first time, nothing is more urgent.
        while !self.health.is_programmed() {
            if self.is_stopped_before(Instant::now() + POLL).await {
                return;
            }
        }
        self.read_at = Instant::now();
        loop {
            let is_stride = !self.to_read.is_empty() && self.stride_at < self.read_at;
            let due = if is_stride { self.stride_at } else { self.read_at };
            if self.is_stopped_before(due).await {
                return;
            }
            let outcome = if is_stride { self.stride() } else { self.read() };
            if let Err(error) = outcome {
                self.to_read.clear();
                warn!(%error, "cannot read the traffic of Services");
            }
        }
    }

    async fn is_stopped_before(&mut self, due: Instant) -> bool {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => true,
            () = sleep_until(due) => false,
        }
    }

    /// Reads the counters of all virtual servers.
    fn read(&mut self) -> Result<(), PortError> {
        let (start, cpu_start) = (Instant::now(), self.kernel.cpu_time());
        self.read_at = start + self.options.interval;
        let changes = self.owners.take();
        for frontend in changes.made {
            self.ledger.begins_anew(&frontend);
            self.endpoints.begins_anew(&frontend);
        }
        for (frontend, owner) in changes.owners {
            self.ledger.assign(frontend, owner);
        }
        self.reading.requests += 1;
        let found = self.kernel.virtual_server_counters()?;
        self.reading.readings += 1;
        self.reading.at = jiff::Timestamp::now().as_duration().as_secs_f64();
        self.ledger.read(&found);
        self.choice = self.choice.next(&self.ledger, &self.options);
        self.plan_strides();
        self.show();
        let took = self.kernel.cpu_time().saturating_sub(cpu_start);
        self.read_at = start + self.options.interval.max(took * SHARE);
        // What is left of the interval, less a margin, is divided among the strides.
        let strides = u32::try_from(self.to_read.len().div_ceil(STRIDE)).unwrap_or(u32::MAX).max(1);
        self.even = self.options.interval * 6 / 10 / strides;
        self.stride_at = Instant::now();
        Ok(())
    }

    /// The real servers of the Service ports that are shown are to be read. If those of the last
    /// time are not done yet, the rest of them comes first, so that all have their turn.
    fn plan_strides(&mut self) {
        let ports = &self.choice.ports;
        let wanted = self.ledger.frontends_of(|port| ports.contains_key(&port));
        let wanted: hashbrown::HashMap<Frontend, PortId> = wanted.collect();
        let of_port = |frontend: &Frontend, port: PortId| wanted.get(frontend) == Some(&port);
        // A Service that comes back has new virtual servers, which count from zero.
        let ledger = &self.ledger;
        self.endpoints
            .keep(of_port, |port| ports.get(&port) == Some(&true) || ledger.is_gone(port));
        self.to_read.retain(|(frontend, port)| of_port(frontend, *port));
        if self.to_read.is_empty() {
            self.to_read = wanted.into_iter().collect();
        }
    }

    /// Reads the real servers of some virtual servers.
    fn stride(&mut self) -> Result<(), PortError> {
        let cpu_start = self.kernel.cpu_time();
        let left = self.to_read.len().saturating_sub(STRIDE);
        for (frontend, port) in self.to_read.split_off(left) {
            self.reading.requests += 1;
            let found = self.kernel.real_server_counters(&frontend)?;
            let by_endpoint = self.choice.ports.get(&port) == Some(&true);
            let most = self.options.max_endpoints;
            self.endpoints.take(frontend, port, by_endpoint, &found, most);
        }
        if self.to_read.is_empty() {
            self.show();
        }
        let took = self.kernel.cpu_time().saturating_sub(cpu_start);
        self.stride_at = Instant::now() + self.even.max(took * STRIDE_SHARE);
        Ok(())
    }

    /// Writes the text that `/metrics` serves.
    fn show(&mut self) {
        let ledger = &self.ledger;
        let open = self.endpoints.open();
        let mut ports: Vec<(&PortKey, Traffic)> = Vec::new();
        for id in self.choice.ports.keys() {
            if let Some(port) = ledger.port(*id) {
                let open = open.get(id).copied();
                ports.push((&*port.key, Traffic { counters: port.total, open }));
            }
        }
        ports.sort_unstable_by_key(|(key, _)| *key);
        let traffic = self.endpoints.traffic();
        let mut endpoints: Vec<(&PortKey, RealServerKey, Traffic)> = traffic
            .into_iter()
            .filter_map(|((id, server), traffic)| Some((&*ledger.port(id)?.key, server, traffic)))
            .collect();
        endpoints.sort_unstable_by_key(|(key, server, _)| (*key, *server));
        let texts: Vec<String> =
            endpoints.iter().map(|(_, server, _)| server.to_string()).collect();
        let ports: Vec<_> =
            ports.iter().map(|(key, traffic)| (Labels::of(key), *traffic)).collect();
        let ports: Vec<PortTraffic<'_>> = ports
            .iter()
            .map(|(labels, traffic)| PortTraffic { labels: labels.all(), traffic: *traffic })
            .collect();
        let endpoint_labels: Vec<Labels<'_>> =
            endpoints.iter().map(|(key, ..)| Labels::of(key)).collect();
        let endpoints: Vec<EndpointTraffic<'_>> = endpoints
            .iter()
            .zip(&endpoint_labels)
            .zip(&texts)
            .map(|(((_, _, traffic), labels), address)| EndpointTraffic {
                labels: labels.all(),
                address,
                traffic: *traffic,
            })
            .collect();
        let cpu = self.kernel.cpu_time().saturating_sub(self.cpu_start);
        self.reading.cpu_seconds = cpu.as_secs_f64();
        self.reading.service_ports = ledger.len();
        self.reading.left_out = self.choice.left_out;
        self.reading.endpoints_left_out = self.endpoints.left_out();
        self.shown.set(metrics::write(ledger.total(), &ports, &endpoints, &self.reading));
    }
}

/// The labels of a Service port.
struct Labels<'a> {
    namespace: &'a str,
    name: &'a str,
    port: &'a str,
    protocol: trimtab_core::Protocol,
}

impl<'a> Labels<'a> {
    fn of(key: &'a PortKey) -> Self {
        let (namespace, name) = (key.service.namespace(), key.service.name());
        Self { namespace, name, port: &key.port, protocol: key.protocol }
    }

    fn all(&self) -> metrics::PortLabels<'_> {
        [&self.namespace, &self.name, &self.port, &self.protocol]
    }
}
