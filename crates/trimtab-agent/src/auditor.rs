//! The periodic comparison with the kernel. It reads in parallel with the loop, spread over the
//! period.
//!
//! It does not delay events: it has its own sockets and its own low-priority thread, and sends what
//! it reads to the loop in parts of bounded size, through a channel that the loop reads only when
//! no change is waiting. The two share no lock.
//!
//! Everything that takes few requests (the host's settings, sets, VIPs and virtual servers) is read
//! in one look per period, and some of it as soon as the kernel notifies of a foreign change. Real
//! servers take a request for each virtual server; they are read in the remaining time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};
use trimtab_core::{Frontend, SetId};

use trimtab_metrics as metric;
use trimtab_reconcile::ports::{Auditing, HostCheck, PortError};

use super::audit::AuditPart;
use super::losses::Losses;
use super::notices::{Notices, Rest};
use crate::health::Health;

/// The maximum number of objects in one part: the loop handles it between two events, so it must be
/// short, some tenths of a millisecond. Only the real servers of one virtual server are never
/// split.
const PART: usize = 2048;
/// The number of virtual servers whose real servers are read in one stride: on a node with one
/// processor an event may have to wait for it, some tenths of a millisecond.
const STRIDE: usize = 64;

/// Reading the real servers takes at most this share of a processor, 1 percent. Only CPU time
/// counts, not waiting. If that is not enough to read all of them in one period, the comparison
/// takes longer than the period, and the next one begins when it is complete.
const SHARE: u32 = 100;
/// Looks take at most this share of a processor: if one per period would take more, on nodes with
/// tens of thousands of Services, there are fewer.
const LOOK_SHARE: u32 = 100;

/// How often to count virtual servers.
const COUNT: Duration = Duration::from_secs(1);
/// How often to ask whether the kernel has been programmed for the first time.
const POLL: Duration = Duration::from_secs(1);

fn failed(error: &PortError) {
    metric::audit_failed();
    warn!(%error, "cannot compare with the kernel");
}

/// How long to rest after a stride that took this much CPU time, if resting for `even` would spread
/// all strides evenly.
fn rest(took: Duration, even: Duration) -> Duration {
    even.max(took * (SHARE - 1))
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Time for a look at everything except real servers.
    Look,
    /// Another program changed the dummy interface.
    Interface,
    /// Somebody deleted rules.
    Rules,
    /// Time to read the real servers of some virtual servers.
    Stride,
    /// Time to count virtual servers.
    Count,
}

/// Reads the kernel and sends the parts to the loop.
#[derive(Debug)]
pub struct Auditor<O> {
    observer: O,
    period: Duration,
    parts: Sender<AuditPart>,
    health: Arc<Health>,
    notices: Arc<Notices>,
    /// The virtual servers of the last look, if their real servers have not begun to be read since.
    found: Option<Vec<Frontend>>,
    /// The virtual servers whose real servers are still to be read in this comparison, in reverse
    /// order.
    to_read: Vec<Frontend>,
    /// The pause after a stride that spreads the strides of a comparison evenly.
    even: Duration,
    look_at: Instant,
    stride_at: Instant,
    count_at: Instant,
    losses: Losses,
    interface_rest: Rest,
    rules_rest: Rest,
}

impl<O: Auditing> Auditor<O> {
    /// An auditor that sends to `parts`.
    pub fn new(
        observer: O,
        period: Duration,
        parts: Sender<AuditPart>,
        health: Arc<Health>,
        notices: Arc<Notices>,
    ) -> Self {
        let now = Instant::now();
        Self {
            observer,
            // What changes just after it was read is then still repaired within the period.
            period: period * 8 / 10,
            parts,
            health,
            notices,
            found: None,
            to_read: Vec::new(),
            even: Duration::ZERO,
            look_at: now,
            stride_at: now,
            count_at: now,
            losses: Losses::default(),
            interface_rest: Rest::none(),
            rules_rest: Rest::none(),
        }
    }

    /// Audits until the receiver is gone.
    pub async fn run(mut self) {
        // There is nothing to compare before the kernel has been programmed.
        while !self.health.is_programmed() {
            tokio::time::sleep(POLL.min(self.period)).await;
            if self.parts.is_closed() {
                return;
            }
        }
        self.look_at = Instant::now() + self.period / 10;
        loop {
            match self.next().await {
                None => return,
                Some(Due::Look) => self.look().await,
                Some(Due::Interface) => self.look_at_interface().await,
                Some(Due::Rules) => self.look_at_rules(),
                Some(Due::Stride) => self.stride().await,
                Some(Due::Count) => self.count(),
            }
        }
    }

    /// Waits until something is due and returns it; `None` when the receiver is gone.
    async fn next(&self) -> Option<Due> {
        tokio::select! {
            biased;
            () = self.parts.closed() => None,
            () = sleep_until(self.look_at) => Some(Due::Look),
            () = self.notices.of_interface(&self.interface_rest) => Some(Due::Interface),
            () = self.notices.of_rules(&self.rules_rest) => Some(Due::Rules),
            () = sleep_until(self.count_at) => Some(Due::Count),
            () = sleep_until(self.stride_at), if !self.to_read.is_empty() => Some(Due::Stride),
        }
    }

    /// Looks at everything except real servers. If one part cannot be read, the others still are.
    async fn look(&mut self) {
        let (start, cpu_start) = (Instant::now(), self.observer.cpu_time());
        let check = self.observer.check_host();
        self.tell(check);
        let mut marks = [self.observer.cpu_time(); 4];
        if self.begin().await {
            self.read_elements().await;
            marks[1] = self.observer.cpu_time();
            self.read_addresses().await;
            marks[2] = self.observer.cpu_time();
            self.read_virtual_servers().await;
            marks[3] = self.observer.cpu_time();
            self.send(AuditPart::EndOfLook).await;
        }
        let took = self.observer.cpu_time().saturating_sub(cpu_start);
        debug!(
            host = ?marks[0].saturating_sub(cpu_start),
            elements = ?marks[1].saturating_sub(marks[0]),
            addresses = ?marks[2].saturating_sub(marks[1]),
            virtual_servers = ?marks[3].saturating_sub(marks[2]),
            "processor time of a look"
        );
        self.look_at = start + self.period.max(took * LOOK_SHARE);
        self.begin_comparison().await;
    }

    async fn look_at_interface(&mut self) {
        let start = Instant::now();
        let check = self.observer.check_interface();
        self.tell(check);
        if self.begin().await {
            self.read_addresses().await;
            self.send(AuditPart::EndOfLook).await;
        }
        self.interface_rest = Rest::after(start.elapsed());
    }

    fn look_at_rules(&mut self) {
        let start = Instant::now();
        let check = self.observer.check_rules();
        if check.made_sets {
            self.look_at = start;
        }
        self.tell(check);
        self.rules_rest = Rest::after(start.elapsed());
    }

    /// Looks at once if most virtual servers are gone.
    fn count(&mut self) {
        let now = Instant::now();
        self.count_at = now + COUNT;
        let count = self.observer.virtual_server_count();
        if count.is_some_and(|count| self.losses.take(count)) {
            self.look_at = now;
        }
    }

    fn tell(&self, check: HostCheck) {
        for repaired in check.repaired {
            warn!("{repaired}");
        }
        if let Some(other_proxy) = check.other_proxy {
            for removed in &other_proxy {
                warn!(
                    "another service proxy runs on this node and translates packets before IPVS sees \
                     them: stop kube-proxy here. Removed {removed}"
                );
            }
            self.health.set_other_proxy(!other_proxy.is_empty());
            metric::other_proxy(!other_proxy.is_empty());
        }
        for error in check.failed {
            failed(&error);
        }
    }

    /// Tells the loop that sets and addresses are read from now on; returns whether the loop still
    /// runs.
    async fn begin(&self) -> bool {
        let (begun, begins) = oneshot::channel();
        self.send(AuditPart::Begin(begun)).await && begins.await.is_ok()
    }

    async fn read_elements(&mut self) {
        for set in SetId::all() {
            match self.observer.elements(set) {
                Ok(elements) => {
                    for part in elements.chunks(PART) {
                        self.send(AuditPart::Elements(set, part.to_vec())).await;
                    }
                    self.send(AuditPart::EndOfElements(set)).await;
                }
                Err(error) => failed(&error),
            }
        }
    }

    async fn read_addresses(&mut self) {
        match self.observer.addresses() {
            Ok(addresses) => {
                for part in addresses.chunks(PART) {
                    self.send(AuditPart::Addresses(part.to_vec())).await;
                }
                self.send(AuditPart::EndOfAddresses).await;
            }
            Err(error) => failed(&error),
        }
    }

    async fn read_virtual_servers(&mut self) {
        match self.observer.virtual_servers() {
            Ok(servers) => {
                for part in servers.chunks(PART) {
                    self.send(AuditPart::VirtualServers(part.to_vec())).await;
                }
                self.send(AuditPart::EndOfVirtualServers).await;
                let mut found: Vec<Frontend> =
                    servers.into_iter().map(|server| server.frontend).collect();
                // They are taken from the end.
                found.reverse();
                self.found = Some(found);
            }
            Err(error) => failed(&error),
        }
    }

    /// Begins to read real servers, unless an earlier comparison is not done with that yet.
    async fn begin_comparison(&mut self) {
        if !self.to_read.is_empty() {
            return;
        }
        let Some(found) = self.found.take() else { return };
        // The rest of the period, less a margin, is divided among the strides.
        let strides = u32::try_from(found.len().div_ceil(STRIDE)).unwrap_or(u32::MAX).max(1);
        self.even = self.period * 6 / 10 / strides;
        self.to_read = found;
        self.stride_at = Instant::now();
        if self.to_read.is_empty() {
            self.send(AuditPart::End).await;
        }
    }

    async fn stride(&mut self) {
        let left = self.to_read.len().saturating_sub(STRIDE);
        let stride = self.to_read.split_off(left);
        let start = self.observer.cpu_time();
        let mut read = Vec::with_capacity(stride.len());
        let mut size = 0;
        for frontend in stride.into_iter().rev() {
            match self.observer.real_servers(&frontend) {
                Ok(servers) => {
                    if size + servers.len() > PART && size > 0 {
                        self.send(AuditPart::RealServers(std::mem::take(&mut read))).await;
                        size = 0;
                    }
                    size += servers.len();
                    read.push((frontend, servers));
                }
                Err(error) => {
                    // The next look begins a new comparison.
                    self.to_read.clear();
                    return failed(&error);
                }
            }
        }
        let took = self.observer.cpu_time().saturating_sub(start);
        self.send(AuditPart::RealServers(read)).await;
        if self.to_read.is_empty() {
            self.send(AuditPart::End).await;
            self.begin_comparison().await;
        }
        self.stride_at = Instant::now() + rest(took, self.even);
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
        assert_eq!(rest(milliseconds(6), milliseconds(500)), milliseconds(594));
        assert_eq!(rest(Duration::ZERO, Duration::ZERO), Duration::ZERO);
    }
}
