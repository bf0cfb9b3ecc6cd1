//! Observes when the kernel holds something.
//!
//! It polls, because IPVS sends no notifications. For single changes, the polling thread has idle
//! priority (SCHED_IDLE): it runs only when nothing else needs the processor, so on a machine with
//! a single one it delays neither the proxy nor the API server, and sees the kernel right after the
//! proxy has finished.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use test_api::Cluster;
use trimtab_core::{Family, Frontend, RealServerKey, SetElement, SetId, SetKind};
use trimtab_host::ipset;
use trimtab_ipvs::{Client, ModuleOptions};

use crate::load::{Expectation, Load};
use crate::node;
use crate::scrape;

/// Services looked at before all of them are.
const SAMPLE: usize = 64;

/// Polls the kernel of this namespace, or asks the proxy if the kernel's state cannot be
/// interpreted.
#[derive(Debug)]
pub enum Witness {
    /// IPVS, ipsets and addresses.
    Kernel(Box<Eyes>),
    /// kube-proxy's own metrics.
    OwnWord,
}

/// Sockets that the kernel is read through.
#[derive(Debug)]
pub struct Eyes {
    ipvs: Client,
    sets: ipset::Client,
}

impl Witness {
    /// Opens what is needed; `is_ipvs` says whether there are virtual servers to see.
    ///
    /// # Errors
    /// Without IPVS or ipset.
    pub fn open(is_ipvs: bool) -> Result<Self> {
        if !is_ipvs {
            return Ok(Self::OwnWord);
        }
        let ipvs = Client::connect(&ModuleOptions::default())?;
        Ok(Self::Kernel(Box::new(Eyes { ipvs, sets: ipset::Client::open()? })))
    }

    /// Whether what a change asks for is there.
    fn holds(&mut self, wanted: &Expectation) -> Result<bool> {
        match self {
            Self::Kernel(eyes) => {
                Ok(eyes.serves(&wanted.frontend, &wanted.real_server)? == wanted.serves)
            }
            Self::OwnWord => {
                thread::sleep(Duration::from_millis(5));
                says_done_since(wanted.at)
            }
        }
    }

    /// Waits until the whole cluster is there; when it was.
    ///
    /// # Errors
    /// When the kernel cannot be read, `is_alive` says no, or `patience` ends.
    pub fn wait_for_cluster(
        &mut self,
        load: &Load,
        begin: Instant,
        patience: Duration,
        mut is_alive: impl FnMut() -> Result<()>,
    ) -> Result<Instant> {
        let services = load.cluster().services();
        let step = services.div_ceil(SAMPLE).max(1);
        let mut missing: Vec<usize> = (0..services).step_by(step).collect();
        loop {
            is_alive()?;
            if begin.elapsed() > patience {
                return Err(anyhow!("not complete after {} s", patience.as_secs()));
            }
            match self {
                Self::OwnWord => {
                    thread::sleep(Duration::from_millis(5));
                    if says_done_since(begin).unwrap_or(false) {
                        return Ok(Instant::now());
                    }
                }
                Self::Kernel(eyes) => {
                    while let Some(service) = missing.last() {
                        if !eyes.holds_service(load, *service)? {
                            break;
                        }
                        missing.pop();
                    }
                    if missing.is_empty() {
                        // The sample is complete. The time is that of a moment before all is read.
                        let now = Instant::now();
                        missing = eyes.missing(load)?;
                        if missing.is_empty() {
                            return Ok(now);
                        }
                        missing.truncate(SAMPLE);
                    }
                }
            }
        }
    }
}

impl Eyes {
    /// Whether a real server is there and gets new connections.
    fn serves(&mut self, frontend: &Frontend, key: &RealServerKey) -> Result<bool> {
        let found = self.ipvs.real_servers(frontend)?;
        let server = found.entries.iter().find(|observed| observed.server.key == *key);
        Ok(server.is_some_and(|observed| observed.server.weight > 0))
    }

    /// Whether everything of one Service is there.
    fn holds_service(&mut self, load: &Load, service: usize) -> Result<bool> {
        let vip = Cluster::vip(service);
        let wanted = load.cluster().endpoints();
        Ok(self.ipvs.real_servers(&Load::frontend(service))?.entries.len() == wanted
            && self.has_element(vip).unwrap_or(false)
            && is_local(vip))
    }

    fn has_element(&mut self, vip: Ipv4Addr) -> Result<bool> {
        let set = SetId::new(SetKind::ClusterIp, Family::V4);
        let element = SetElement::IpPort(vip.into(), trimtab_core::Protocol::Tcp, Cluster::PORT);
        Ok(self.sets.test(set.name(), element)?)
    }

    /// The Services of which something is not there.
    fn missing(&mut self, load: &Load) -> Result<Vec<usize>> {
        let all = 0..load.cluster().services();
        let mut missing = Vec::new();
        for service in all {
            if !self.holds_service(load, service)? {
                missing.push(service);
            }
        }
        Ok(missing)
    }
}

/// Whether the kernel takes an address as its own, by an address or a local route: only then can a
/// socket be bound to it.
fn is_local(address: Ipv4Addr) -> bool {
    TcpListener::bind((address, 0)).is_ok()
}

/// Whether kube-proxy's metrics say that it has received a change since then and programmed it.
fn says_done_since(at: Instant) -> Result<bool> {
    let metrics = scrape::metrics()?;
    let time = |name: &str| metrics.sum(name, "").unwrap_or(0.0);
    let queued = time("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds");
    let synced = time("kubeproxy_sync_proxy_rules_last_timestamp_seconds");
    let at = SystemTime::now() - at.elapsed();
    let at = at.duration_since(SystemTime::UNIX_EPOCH).context("a clock before 1970")?;
    Ok(queued >= at.as_secs_f64() && synced >= queued)
}

/// How a witness looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Continuously, at idle priority: nothing waits for it, and on a busy processor it waits for
    /// everything else.
    AtIdle,
    /// Every millisecond, at normal priority: it takes some CPU time.
    NowAndThen,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel held it this long after it was made.
    HeldAfter(Duration),
    /// The kernel did not hold it within the patience.
    NeverHeld,
}

/// A witness on a thread of its own, for changes that are made meanwhile.
#[derive(Debug)]
pub struct Watcher {
    questions: Sender<Expectation>,
    answers: Receiver<Result<Outcome>>,
}

impl Watcher {
    /// Starts watching; a change that is not seen within `patience` never is.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(is_ipvs: bool, patience: Duration, manner: Manner) -> Result<Self> {
        let (questions, asked) = channel::<Expectation>();
        let (answer, answers) = channel();
        let (ready, started) = channel();
        let watch = move || {
            let prepared = if manner == Manner::AtIdle { be_idle() } else { Ok(()) };
            let mut witness = match prepared.and_then(|()| Witness::open(is_ipvs)) {
                Ok(witness) => witness,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            for wanted in asked {
                if answer.send(witness.watch(&wanted, patience, manner)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("witness".to_owned()).spawn(watch)?;
        started.recv().context("the witness panicked")??;
        Ok(Self { questions, answers })
    }

    /// Starts looking for a change. Outcomes arrive in the order of the requests.
    pub fn look_for(&self, wanted: Expectation) {
        // A witness that has ended is noticed when the answer is asked for.
        let _ = self.questions.send(wanted);
    }

    /// The next answer, if there is one already.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn ready_answer(&self) -> Result<Option<Outcome>> {
        match self.answers.try_recv() {
            Ok(answer) => answer.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(anyhow!("the witness has ended")),
        }
    }

    /// The outcome of the next change.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn answer(&self) -> Result<Outcome> {
        self.answers.recv().context("the witness has ended")?
    }
}

impl Witness {
    fn watch(
        &mut self,
        wanted: &Expectation,
        patience: Duration,
        manner: Manner,
    ) -> Result<Outcome> {
        loop {
            if self.holds(wanted)? {
                return Ok(Outcome::HeldAfter(wanted.at.elapsed()));
            }
            if wanted.at.elapsed() > patience {
                return Ok(Outcome::NeverHeld);
            }
            if manner == Manner::NowAndThen {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Gives the calling thread idle priority.
///
/// # Errors
/// When `chrt` cannot.
pub fn be_idle() -> Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    node::run("chrt", &["--idle", "--pid", "0", &thread]).map(drop)
}
