//! A program to measure.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use test_api::Cluster;

/// How it is started and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `trimtab run`, of this or another build, which binds VIPs this way.
    Trimtab(Binding),
    /// An unmodified kube-proxy in this mode.
    KubeProxy(Mode),
}

/// How VIPs are made local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Addresses of the dummy interface.
    Address,
    /// Local routes.
    Route,
}

impl Binding {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Route => "route",
        }
    }
}

/// What kube-proxy programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// IPVS, seen in the kernel as Trimtab's is.
    Ipvs,
    /// Rules of iptables; the program itself reports when they are complete.
    Iptables,
    /// Rules of nftables; as for iptables.
    Nftables,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ipvs => "ipvs",
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

/// A program to measure, as `NAME=PATH`: `trimtab` and names that begin so are builds of Trimtab,
/// with `:route` at the end of those that bind VIPs by routes; `kube-proxy`, `kube-proxy:iptables` and
/// `kube-proxy:nftables` are kube-proxy in that mode.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name in the tables.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    path: PathBuf,
}

impl FromStr for Candidate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = text.split_once('=').context("write it as NAME=PATH")?;
        let kind = match name.split_once(':').unwrap_or((name, "")) {
            ("kube-proxy", "" | "ipvs") => Kind::KubeProxy(Mode::Ipvs),
            ("kube-proxy", "iptables") => Kind::KubeProxy(Mode::Iptables),
            ("kube-proxy", "nftables") => Kind::KubeProxy(Mode::Nftables),
            ("kube-proxy", mode) => bail!("kube-proxy has no mode {mode:?}"),
            (own, "" | "address") if own.starts_with("trimtab") => Kind::Trimtab(Binding::Address),
            (own, "route") if own.starts_with("trimtab") => Kind::Trimtab(Binding::Route),
            (other, _) => bail!("{other:?} is neither kube-proxy nor trimtab"),
        };
        Ok(Self { name: name.to_owned(), kind, path: path.into() })
    }
}

/// Settings that may differ between two starts.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Seconds between comparisons with the kernel.
    pub sync_period: u64,
    /// Further lines of the configuration file, for Trimtab only.
    pub trimtab: String,
}

impl Setup {
    /// The same, but removed real servers are deleted at once.
    #[must_use]
    pub fn without_draining(&self) -> Self {
        let mut setup = self.clone();
        if !setup.is_without_draining() {
            setup.trimtab.push_str("\ndrainTimeout: 0s");
        }
        setup
    }

    /// Whether removed real servers are deleted at once, without draining.
    pub fn is_without_draining(&self) -> bool {
        self.trimtab.lines().any(|line| line.trim() == "drainTimeout: 0s")
    }
}

impl Candidate {
    /// Whether its virtual servers can be seen in the kernel.
    pub fn is_ipvs(&self) -> bool {
        matches!(self.kind, Kind::Trimtab(_) | Kind::KubeProxy(Mode::Ipvs))
    }

    /// How it makes VIPs local.
    pub fn binding(&self) -> Binding {
        match self.kind {
            Kind::Trimtab(binding) => binding,
            Kind::KubeProxy(_) => Binding::Address,
        }
    }

    /// Starts it in this namespace as the first node's proxy; its files go to `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, folder: &Path, kubeconfig: &Path, setup: &Setup) -> Result<Running> {
        let config = folder.join("config.yaml");
        std::fs::write(&config, self.config(kubeconfig, setup)).context("its configuration")?;
        let log = folder.join("log");
        let file = File::options().create(true).append(true).open(&log).context("its log")?;
        let mut command = Command::new(&self.path);
        if matches!(self.kind, Kind::Trimtab(_)) {
            command.arg("run");
        }
        command
            .arg("--config")
            .arg(&config)
            .arg("--hostname-override")
            .arg(Cluster::node_name(0))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let begin = Instant::now();
        let child =
            command.spawn().with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Running { child, log, begin })
    }

    fn config(&self, kubeconfig: &Path, setup: &Setup) -> String {
        let mode = match self.kind {
            Kind::Trimtab(_) => Mode::Ipvs,
            Kind::KubeProxy(mode) => mode,
        };
        let (mode, period) = (mode.as_str(), setup.sync_period);
        // The size of the connection table is not a namespace's to set.
        let mut text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             mode: {mode}\nclusterCIDR: 10.128.0.0/9\nconntrack: {{maxPerCore: 0, min: 0}}\n\
             clientConnection: {{kubeconfig: {}}}\n\
             ipvs: {{syncPeriod: {period}s}}\n",
            kubeconfig.display()
        );
        if let Kind::Trimtab(binding) = self.kind {
            let _ = writeln!(text, "trimtab:\n  vipBinding: {}", binding.as_str());
            for line in setup.trimtab.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}

/// The running program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
    /// When it was started.
    pub begin: Instant,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, with its log.
    ///
    /// # Errors
    /// When it has.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            bail!("the proxy ended with {status}:\n{}", tail.join("\n"));
        }
        Ok(())
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub fn terminate(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("SIGTERM")?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > Duration::from_secs(60) {
                bail!("the proxy does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_program_is() {
        let kind = |text: &str| text.parse::<Candidate>().map(|candidate| candidate.kind).ok();
        assert_eq!(kind("kube-proxy=/k"), Some(Kind::KubeProxy(Mode::Ipvs)));
        assert_eq!(kind("kube-proxy:nftables=/k"), Some(Kind::KubeProxy(Mode::Nftables)));
        assert_eq!(kind("trimtab-before=/t"), Some(Kind::Trimtab(Binding::Address)));
        assert_eq!(kind("trimtab:route=/t"), Some(Kind::Trimtab(Binding::Route)));
        for wrong in ["kube-proxy", "kube-proxy:userspace=/k", "cilium=/c"] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }
}
