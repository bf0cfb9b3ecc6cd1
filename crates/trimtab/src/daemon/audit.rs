//! The periodic comparison with the kernel, read beside the work and spread over its period.
//!
//! It does not hold up events: it reads on sockets and on a thread of its own, which gives way to
//! others, and what it reads goes to the loop in parts of bounded size, through a channel that the
//! loop looks at only when no change waits. There is no lock between the two.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;
use trimtab_core::{Frontend, RealServer, SetElement, SetId, VirtualServer};

use crate::health::Health;
use crate::metric;

/// A part of what the kernel holds.
#[derive(Debug)]
pub enum AuditPart {
    /// A new comparison begins. Nothing is read before the answer: what is written after it may be
    /// newer than what is read, and is not judged by that.
    Begin(oneshot::Sender<()>),
    /// Some elements of a set.
    Elements(SetId, Vec<SetElement>),
    /// There are no more elements in the set.
    EndOfElements(SetId),
    /// Some VIPs on the dummy interface.
    Addresses(Vec<IpAddr>),
    /// There are no more VIPs.
    EndOfAddresses,
    /// Some virtual servers.
    VirtualServers(Vec<VirtualServer>),
    /// There are no more virtual servers.
    EndOfVirtualServers,
    /// The real servers of some virtual servers.
    RealServers(Vec<(Frontend, Vec<RealServer>)>),
    /// The comparison is complete.
    End,
}

/// What became of a look at what does not depend on Services.
#[derive(Debug, Default)]
pub struct HostCheck {
    /// What was put right, in words.
    pub repaired: Vec<String>,
    /// What could not be read or put right.
    pub failed: Vec<anyhow::Error>,
    /// What another service proxy wrote since the last look, and what was removed of it, in words.
    pub other_proxy: Vec<String>,
}

impl HostCheck {
    /// Takes in what became of one part; no part stops another.
    pub fn part(&mut self, outcome: anyhow::Result<Vec<String>>) {
        match outcome {
            Ok(repaired) => self.repaired.extend(repaired),
            Err(error) => self.failed.push(error),
        }
    }
}

/// Reads the kernel, on sockets of its own.
pub trait Observer {
    /// Makes sure of what does not depend on Services: sysctls, the dummy interface, rules.
    fn check_host(&mut self) -> HostCheck;

    /// The processor time that this thread has taken so far.
    fn cpu_time(&self) -> Duration;

    /// The elements of one set.
    ///
    /// # Errors
    /// When the set cannot be read.
    fn elements(&mut self, set: SetId) -> anyhow::Result<Vec<SetElement>>;

    /// The VIPs on the dummy interface.
    ///
    /// # Errors
    /// When they cannot be read.
    fn addresses(&mut self) -> anyhow::Result<Vec<IpAddr>>;

    /// All virtual servers.
    ///
    /// # Errors
    /// When they cannot be read.
    fn virtual_servers(&mut self) -> anyhow::Result<Vec<VirtualServer>>;

    /// The real servers of one virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn real_servers(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<RealServer>>;
}

/// Objects in one part: it is handled between two events, so it must be short, some tenths of a
/// millisecond. Only the real servers of one virtual server are not divided.
const PART: usize = 2048;
/// Virtual servers whose real servers are read in one go: on a node with one processor an event may
/// have to wait for that, some tenths of a millisecond.
const STRIDE: usize = 16;

/// Reading the real servers, a request for each virtual server, takes at most this part of a
/// processor: half a percent of its time; waiting for others costs nothing. Where that is not enough
/// for all of them in one period, a comparison takes longer than the period, and the next one begins
/// when it is complete. What does not depend on Services is looked at once a period all the same.
const SHARE: u32 = 200;

fn failed(error: &anyhow::Error) {
    metrics::counter!("trimtab_audit_errors_total").increment(1);
    warn!(error = format!("{error:#}"), "cannot compare with the kernel");
}

/// How long to rest after a stride that took so much processor time, if `even` would spread all strides evenly.
fn rest(took: Duration, even: Duration) -> Duration {
    even.max(took * (SHARE - 1))
}

/// Reads the kernel once in every period and sends what it finds.
#[derive(Debug)]
pub struct Auditor<O> {
    observer: O,
    period: Duration,
    parts: Sender<AuditPart>,
    health: Arc<Health>,
    /// When the host is to be looked at again.
    host_due: Option<Instant>,
}

impl<O: Observer> Auditor<O> {
    /// An auditor that sends to `parts`.
    pub const fn new(
        observer: O,
        period: Duration,
        parts: Sender<AuditPart>,
        health: Arc<Health>,
    ) -> Self {
        Self { observer, period, parts, health, host_due: None }
    }

    /// Audits until nobody listens any more.
    pub async fn run(mut self) {
        loop {
            let start = Instant::now();
            tokio::time::sleep(self.period / 10).await;
            // What has not been programmed yet cannot have been spoiled.
            if !self.health.is_programmed() && !self.parts.is_closed() {
                continue;
            }
            match self.audit().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => failed(&error),
            }
            tokio::time::sleep_until(start + self.period).await;
        }
    }

    /// Looks at what does not depend on Services, and puts it right.
    fn look_at_host(&mut self) {
        self.host_due = Some(Instant::now() + self.period);
        let check = self.observer.check_host();
        for repaired in check.repaired {
            warn!("{repaired}");
        }
        for removed in &check.other_proxy {
            warn!(
                "another service proxy runs on this node and translates packets before IPVS sees them: \
                 stop kube-proxy here. Removed {removed}"
            );
        }
        self.health.set_other_proxy(!check.other_proxy.is_empty());
        metric::other_proxy(!check.other_proxy.is_empty());
        // Whatever it is, virtual servers and VIPs are still to be compared.
        for error in check.failed {
            failed(&error);
        }
    }

    /// One comparison; `false` when nobody listens any more.
    async fn audit(&mut self) -> anyhow::Result<bool> {
        self.look_at_host();
        let (begun, begins) = oneshot::channel();
        if !self.send(AuditPart::Begin(begun)).await || begins.await.is_err() {
            return Ok(false);
        }
        for set in SetId::all() {
            let elements = self.observer.elements(set)?;
            for part in elements.chunks(PART) {
                self.send(AuditPart::Elements(set, part.to_vec())).await;
            }
            self.send(AuditPart::EndOfElements(set)).await;
        }
        let addresses = self.observer.addresses()?;
        for part in addresses.chunks(PART) {
            self.send(AuditPart::Addresses(part.to_vec())).await;
        }
        drop(addresses);
        self.send(AuditPart::EndOfAddresses).await;
        let servers = self.observer.virtual_servers()?;
        let frontends: Vec<Frontend> = servers.iter().map(|server| server.frontend).collect();
        for part in servers.chunks(PART) {
            self.send(AuditPart::VirtualServers(part.to_vec())).await;
        }
        drop(servers);
        self.send(AuditPart::EndOfVirtualServers).await;
        // The rest of the period, less a margin, is shared out among the strides.
        let strides = u32::try_from(frontends.len().div_ceil(STRIDE)).unwrap_or(u32::MAX).max(1);
        let even = self.period * 6 / 10 / strides;
        for stride in frontends.chunks(STRIDE) {
            if self.host_due.is_some_and(|due| due <= Instant::now()) {
                self.look_at_host();
            }
            let start = self.observer.cpu_time();
            let mut read = Vec::with_capacity(stride.len());
            let mut size = 0;
            for frontend in stride {
                let servers = self.observer.real_servers(frontend)?;
                if size + servers.len() > PART && size > 0 {
                    self.send(AuditPart::RealServers(std::mem::take(&mut read))).await;
                    size = 0;
                }
                size += servers.len();
                read.push((*frontend, servers));
            }
            let took = self.observer.cpu_time().saturating_sub(start);
            self.send(AuditPart::RealServers(read)).await;
            tokio::time::sleep(rest(took, even)).await;
        }
        Ok(self.send(AuditPart::End).await)
    }

    async fn send(&self, part: AuditPart) -> bool {
        self.parts.send(part).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_spread_evenly_until_that_would_take_more_than_their_share() {
        let milliseconds = Duration::from_millis;
        assert_eq!(rest(milliseconds(1), milliseconds(500)), milliseconds(500));
        assert_eq!(rest(milliseconds(5), milliseconds(500)), milliseconds(995));
        assert_eq!(rest(Duration::ZERO, Duration::ZERO), Duration::ZERO);
    }
}
