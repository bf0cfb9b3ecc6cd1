//! A network with the program at work, until it holds every Service.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::caller::Caller;
use super::network::{Network, Size};
use super::proof::{self, Counts};
use super::target::Target;
use crate::candidate::{Candidate, Kind, Running, Setup};
use crate::scrape;

/// When kube-proxy last programmed everything.
const LAST_SYNC: &str = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
/// Between two looks at a program that starts.
const PAUSE: Duration = Duration::from_millis(200);
/// Calls until each pod must have answered: more than chance needs, where a proxy draws lots.
const CALLS: usize = 12;

/// What every stage has.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub size: Size,
    /// Endpoints of each Service that nobody calls.
    pub endpoints: usize,
    /// How the programs are started.
    pub setup: Setup,
    /// How long that may take.
    pub patience: Duration,
}

impl Plan {
    /// Connections that a client opens before it is measured, at most.
    pub fn rehearsal(pods: usize) -> usize {
        CALLS * pods
    }
}

/// A program with a number of Services, or a node without a proxy.
#[derive(Debug)]
pub struct Stage {
    /// What the program is called; `None` without one.
    pub program: Option<String>,
    /// Services that it has.
    pub services: usize,
    /// The pods by their own addresses, and by the VIP if there is a program.
    pub targets: Vec<Target>,
    counted: Option<Counts>,
    running: Option<Running>,
    /// Last, so that the program ends first.
    pub network: Network,
}

impl Stage {
    /// A network without a proxy.
    ///
    /// # Errors
    /// When it cannot be laid.
    pub fn bare(plan: &Plan) -> Result<Self> {
        let network = Network::lay(plan.size, 1, 0)?;
        let targets = vec![network.direct()];
        Ok(Self { program: None, services: 0, targets, counted: None, running: None, network })
    }

    /// A network with `candidate` on its node, which holds `services` Services.
    ///
    /// # Errors
    /// When it cannot be laid, or the program does not get there.
    pub fn start(
        plan: &Plan,
        candidate: &Candidate,
        services: usize,
        folder: &Path,
    ) -> Result<Self> {
        let folder = folder.join(format!("{}-{services}", candidate.name.replace(':', "-")));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut network = Network::lay(plan.size, services, plan.endpoints)?;
        let kubeconfig = folder.join("kubeconfig.yaml");
        network.cluster.api.write_kubeconfig(&kubeconfig)?;
        let mut running = network
            .node()
            .namespace()
            .run(|| candidate.start(&folder, &kubeconfig, &plan.setup))??;
        while !holds_all(&network, candidate, services)? {
            running.check()?;
            let waited = running.begin.elapsed();
            ensure!(waited < plan.patience, "not complete after {} s", waited.as_secs());
            std::thread::sleep(PAUSE);
        }
        rehearse(&mut network)?;
        let targets = vec![network.direct(), network.by_vip()];
        let program = Some(candidate.name.clone());
        Ok(Self { program, services, targets, counted: None, running: Some(running), network })
    }

    /// Remembers what IPVS has counted so far, where the program has it count.
    ///
    /// # Errors
    /// When `ipvsadm` fails.
    pub fn remember_counts(&mut self) -> Result<()> {
        let vip = self.network.vip();
        let node = self.network.node().namespace();
        if self.program.is_some() && proof::virtual_servers(node)? > 0 {
            self.counted = Some(proof::read(node, vip)?);
        }
        Ok(())
    }

    /// Compares what IPVS has counted since then with the connections that pods have answered on by
    /// the VIP, one number a pod.
    ///
    /// # Errors
    /// When they differ, or a pod has not answered at all, or the program has ended.
    pub fn prove(&mut self, answered: &[u64]) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.check()?;
        ensure!(
            answered.iter().all(|count| *count > 0),
            "a pod behind the VIP was never reached: {answered:?}"
        );
        let Some(before) = &self.counted else { return Ok(()) };
        let answered = self.network.addresses().zip(answered.iter().copied()).collect();
        proof::check(self.network.node().namespace(), self.network.vip(), before, &answered)
    }

    /// Asks the program to end and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub fn end(mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), Running::terminate)
    }
}

/// Whether every Service has been programmed: by `ipvsadm`, or by the program's own word where it
/// programs something else.
fn holds_all(network: &Network, candidate: &Candidate, services: usize) -> Result<bool> {
    let node = network.node().namespace();
    if candidate.is_ipvs() {
        if proof::virtual_servers(node).unwrap_or(0) < services {
            return Ok(false);
        }
        let servers = proof::read(node, network.vip()).unwrap_or_default();
        if servers.len() != network.addresses().count() {
            return Ok(false);
        }
    }
    // Rules of the packet filter come last.
    node.run(|| match candidate.kind {
        Kind::Trimtab(_) => scrape::get(HEALTH, "/readyz").is_ok_and(|(code, _)| code == 200),
        Kind::KubeProxy(_) => {
            scrape::metrics().is_ok_and(|metrics| metrics.sum(LAST_SYNC, "").unwrap_or(0.0) > 0.0)
        }
    })
    .map_err(Into::into)
}

/// Where Trimtab says that it is ready.
const HEALTH: u16 = 10256;

/// Calls the VIP until every pod has answered.
fn rehearse(network: &mut Network) -> Result<()> {
    let target = network.by_vip();
    let most = Plan::rehearsal(target.pods());
    let Some(client) = network.clients.first_mut() else { return Ok(()) };
    let start = Instant::now();
    let namespace = client.host.namespace().clone();
    namespace.run(|| {
        let mut caller = Caller::new(&target, &mut client.ports);
        for _ in 0..most {
            caller.call()?;
            if caller.answered.iter().all(|count| *count > 0) {
                return Ok(());
            }
        }
        let answered = caller.answered;
        let seconds = start.elapsed().as_secs();
        anyhow::bail!("after {most} calls in {seconds} s, not every pod has answered: {answered:?}")
    })?
}
