//! The program on a node.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::eventually;
use crate::metrics::Metrics;
use crate::topology::{Host, address};
use trimtab_core::Family;

/// Where `cargo xtask test` says the program is.
const PROGRAM: &str = "TRIMTAB_BIN";
const HEALTH: u16 = 10256;
const METRICS: u16 = 10249;
/// For an answer of the program on an emulated processor that others keep busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program for one node, not started yet.
#[derive(Debug)]
pub struct ProxyBuilder {
    node: Host,
    name: String,
    folder: PathBuf,
    config: String,
    source: Vec<String>,
    arguments: Vec<String>,
    under: Vec<String>,
}

impl ProxyBuilder {
    pub(super) fn new(node: Host, folder: &Path) -> Self {
        let cidrs = Family::ALL.map(address::cluster_cidr).join(",");
        // The size of the connection table is not a namespace's to set.
        let config = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             mode: ipvs\nclusterCIDR: {cidrs}\nconntrack: {{maxPerCore: 0, min: 0}}\n"
        );
        let name = node.name().to_owned();
        Self {
            node,
            name,
            folder: folder.to_owned(),
            config,
            source: Vec::new(),
            arguments: Vec::new(),
            under: Vec::new(),
        }
    }

    /// As the node of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    pub(super) fn kubeconfig(mut self, path: &Path) -> Self {
        self.source = vec!["--kubeconfig".to_owned(), path.display().to_string()];
        self
    }

    /// Takes objects from this folder instead of the API server.
    #[must_use]
    pub fn manifests(mut self, folder: &Path) -> Self {
        self.source = vec!["--manifests".to_owned(), folder.display().to_string()];
        self
    }

    /// Adds lines to the configuration file.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        self.config.push_str(yaml);
        self.config.push('\n');
        self
    }

    /// Adds an argument to those of `trimtab run`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it by way of another program, such as `setpriv` with its arguments.
    #[must_use]
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Takes this configuration file instead.
    #[must_use]
    pub fn whole_config(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.config);
        self
    }

    /// Does not tell it which addresses pods have.
    #[must_use]
    pub fn without_cluster_cidr(mut self) -> Self {
        let lines = self.config.lines().filter(|line| !line.starts_with("clusterCIDR: "));
        self.config = lines.flat_map(|line| [line, "\n"]).collect();
        self
    }

    /// What is in its configuration file.
    pub fn configuration(&self) -> &str {
        &self.config
    }

    /// The path of the configuration file, written.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_config(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{}.yaml", self.node.name()));
        std::fs::write(&path, &self.config).context("writing the configuration")?;
        Ok(path)
    }

    /// Where its admin socket is: each node has its own network, and all have the same files.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.join(format!("{}.sock", self.node.name()))
    }

    /// Starts it and returns at once.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self) -> anyhow::Result<Proxy> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.join(format!("{}-{count}.log", self.node.name()));
        let program = program()?.display().to_string();
        let mut words = self.under.iter().chain([&program]);
        let mut command = Command::new(words.next().unwrap_or(&program));
        command
            .args(words)
            .args(["run", "--v=2", "--hostname-override", &self.name])
            .arg("--config")
            .arg(self.write_config()?)
            .arg("--admin-socket")
            .arg(self.admin_socket())
            .args(&self.source)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).context("a file for its log")?);
        let child = self.node.namespace().spawn(&mut command)?;
        Ok(Proxy { node: self.node.clone(), child, log })
    }

    /// Starts it and waits until it says that the kernel is programmed.
    ///
    /// # Errors
    /// If it cannot be started, ends, or does not become ready; with its log.
    pub fn start(&self) -> anyhow::Result<Proxy> {
        let mut proxy = self.spawn()?;
        proxy.wait_until_ready()?;
        Ok(proxy)
    }
}

/// The path of the program.
///
/// # Errors
/// When nobody says where it is.
pub fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(PROGRAM)
        .with_context(|| format!("{PROGRAM} must hold the path of the program"))?;
    Ok(path.into())
}

/// The program running on a node; killed when dropped.
#[derive(Debug)]
pub struct Proxy {
    node: Host,
    child: Child,
    log: PathBuf,
}

impl Proxy {
    /// Waits until `/readyz` says so.
    ///
    /// # Errors
    /// If it ends or does not become ready; with its log.
    pub fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let ready = eventually("ready", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            Ok(self.get(HEALTH, "/readyz").ok().filter(|(status, _)| *status == 200))
        });
        ready.map(drop).with_context(|| format!("{}:\n{}", self.node.name(), self.log()))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Status and body of one of its health paths.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn health(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.get(HEALTH, path)
    }

    /// Its metrics, as text.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn metrics(&self) -> anyhow::Result<String> {
        let (status, body) = self.get(METRICS, "/metrics")?;
        ensure!(status == 200, "/metrics: {status}");
        Ok(body)
    }

    /// The sum over all counters of this name whose labels contain `labels`.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn count(&self, name: &str, labels: &str) -> anyhow::Result<u64> {
        let sum = Metrics::parse(&self.metrics()?).sum(name, labels).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        Ok(sum as u64)
    }

    /// Stops it where it is, with SIGSTOP, until [`Self::resume`].
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::STOP).context("SIGSTOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::CONT).context("SIGCONT")
    }

    fn signal(&self, signal: rustix::process::Signal) -> rustix::io::Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("SIGKILL")?;
        self.child.wait().map(drop).context("waiting for its end")
    }

    /// Asks it to end, with SIGTERM, and waits until it has.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn terminate(mut self) -> anyhow::Result<(ExitStatus, String)> {
        self.signal(rustix::process::Signal::TERM).context("SIGTERM")?;
        let status = eventually("its end", || Ok(self.child.try_wait()?))?;
        Ok((status, self.log()))
    }

    /// Waits until it ends by itself; its status and its log.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let status = eventually("its end", || Ok(self.child.try_wait()?))?;
        Ok((status, self.log()))
    }

    fn get(&self, port: u16, path: &str) -> anyhow::Result<(u16, String)> {
        self.node.namespace().run(|| get(port, path))?
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.node.name(), self.log());
        }
    }
}

fn get(port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without an end of head")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.context("an answer without a status")?, body.to_owned()))
}
