//! `trimtab run`.

use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::sync::{mpsc, watch as channel};
use tracing::{info, warn};
use trimtab_agent::admin::{self, Desk};
use trimtab_agent::health::Health;
use trimtab_agent::health_check::HealthChecks;
use trimtab_agent::kernel_memory::Machine;
use trimtab_agent::questions::Asker;
use trimtab_agent::traffic::{Meter, Owners, Shown};
use trimtab_agent::{
    AuditPart, Auditor, Inputs, Notices, Shared, SyncLoop, SyncSettings, allocator, http,
};
use trimtab_config::{Config, ConfigFile, LogFormat, Overrides};
use trimtab_core::Family;
use trimtab_kube::startup_taint::{Waits, remove_when_ready};
use trimtab_kube::warning::{Board, Publisher, Warnings};
use trimtab_kube::watch::{Role, Timing};
use trimtab_kube::{Arrival, manifests, watch};
use trimtab_linux::{Linux, PacketFilters, host};
use trimtab_reconcile::{Reconciler, Settings};

use super::cleanup::{self, Proxy};
use super::kube_proxy::set;
use super::parts::{Parts, until_end};
use super::{KubeProxyFlags, kernel_options, once, read_config, resolve};
use crate::config_file::until_changed;
use crate::logging;

/// Arrivals that may wait between the source and the loop: enough to keep both busy, few enough that
/// a large cluster's list is never in memory twice.
const ARRIVALS: usize = 4;
/// The thread that writes to the kernel.
const SYNC: &str = "sync";
/// Parts of an audit that may wait.
const AUDIT_PARTS: usize = 4;

/// Arguments of `trimtab run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # With kube-proxy's configuration file, in which mode is ipvs or empty:
  trimtab run --config /var/lib/kube-proxy/config.conf --hostname-override node-a

  # With flags alone, as the account of the kubeconfig file:
  trimtab run --kubeconfig /etc/kubernetes/kube-proxy.conf --cluster-cidr 10.244.0.0/16

  # Without a cluster, from a folder of manifests:
  trimtab run --manifests /etc/trimtab/manifests --hostname-override node-a

  # Show the configuration that results, with all defaults, and exit:
  trimtab run --config config.yaml --write-config-to /dev/stdout

Without --config, --kubeconfig and --manifests, Trimtab reaches the API server with the pod's own
service account. SIGTERM stops it; the kernel keeps forwarding.")]
pub struct RunArgs {
    /// A KubeProxyConfiguration file. Flags override it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read objects from the manifests in this folder, again whenever it changes, instead of from the
    /// Kubernetes API.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "master"])]
    manifests: Option<PathBuf>,
    /// Where sysctls are read and written, instead of /proc/sys. In a container: the path where the host's
    /// /proc/sys is mounted.
    #[arg(long, value_name = "DIR")]
    sysctl_path: Option<String>,
    /// Which kind of iptables writes the rules: nft, legacy, or auto for the kind that the node's kubelet
    /// uses, else the one with more rules.
    #[arg(long, value_name = "KIND")]
    iptables_backend: Option<String>,
    /// Where the admin socket is, which `trimtab status` asks; empty for none.
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<String>,
    /// The format of log lines.
    #[arg(long, alias = "logging-format", value_parser = LogFormat::ALL.map(LogFormat::name))]
    log_format: Option<String>,
    #[command(flatten)]
    flags: KubeProxyFlags,
}

impl RunArgs {
    /// Overrides the file with every flag that is given.
    fn apply(&self, file: &mut ConfigFile) {
        self.flags.apply(file);
        set!(file.logging.format, "logging.format", self.log_format);
        set!(file.trimtab.sysctl_path, "trimtab.sysctlPath", self.sysctl_path);
        set!(file.trimtab.iptables_backend, "trimtab.iptablesBackend", self.iptables_backend);
        set!(file.trimtab.admin_socket, "trimtab.adminSocket", self.admin_socket);
    }
}

/// Runs until told to stop.
pub(super) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    allocator::configure();
    let (mut file, notes) = read_config(arguments.config.as_deref())?;
    arguments.apply(&mut file);
    let (config, notes) = resolve(&file, Overrides::default(), notes)?;
    let started = jiff::Timestamp::now();
    let verbosity = logging::start(config.verbosity, config.log_format);
    info!(version = env!("CARGO_PKG_VERSION"), node = config.node_name, "Trimtab starts");
    for note in notes {
        warn!("{note}");
    }
    for flag in arguments.flags.without_effect.given() {
        warn!("{flag} has no effect here");
    }
    if let Some(path) = &arguments.flags.write_config_to {
        return once::write_config(&config, path).map(|()| ExitCode::SUCCESS);
    }
    if arguments.flags.cleanup == Some(true) {
        return cleanup::sweep(&config, Proxy::Trimtab, false).map(|()| ExitCode::SUCCESS);
    }
    if arguments.flags.init_only == Some(true) {
        trimtab_linux::init(&kernel_options(&config))?;
        return Ok(ExitCode::SUCCESS);
    }
    host::adjust_oom_score(config.oom_score_adj);
    host::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments, Arc::new(config), started, verbosity))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    arguments: &RunArgs,
    config: Arc<Config>,
    started: jiff::Timestamp,
    verbosity: http::SetVerbosity,
) -> anyhow::Result<()> {
    let config_changed: Pin<Box<dyn Future<Output = ()>>> = match &arguments.config {
        Some(file) => Box::pin(until_changed(file)?),
        None => Box::pin(std::future::pending()),
    };
    let kernel = Arc::new(kernel_options(&config));
    let filters = PacketFilters::choose(kernel.iptables_backend);
    let families = filters.families(&host::families());
    let health = Arc::new(Health::new(config.sync_period, &families));
    let metrics = trimtab_metrics::install()?;
    let (parts, mut ended) = Parts::new();
    let traffic = Arc::new(Shown::default());
    let observability = http::Observability {
        metrics,
        traffic: Arc::clone(&traffic),
        slis: Arc::default(),
        health: Arc::clone(&health),
        config: Arc::clone(&config),
        started,
        verbosity,
    };
    start_servers(observability, &parts);

    let (change_sender, changes) = mpsc::channel::<Arrival>(ARRIVALS);
    let (host_sender, host_news) = mpsc::channel(1);
    let (part_sender, audit) = mpsc::channel::<AuditPart>(AUDIT_PARTS);
    let (stop_sender, stop) = channel::channel(false);
    let (asker, questions) = Asker::new();
    let inputs = Inputs { changes, host_news, audit, questions, stop: stop.clone() };
    let (pod_networks, pod_networks_seen) = channel::channel(Vec::new());

    let plane = Linux::open(kernel, families.clone(), pod_networks_seen, filters)?;
    let reader = plane.reader()?;
    let meter = if config.traffic.enabled { Some(plane.meter()?) } else { None };
    let reconciler = Reconciler::new(settings(&config, families));
    let settings = SyncSettings {
        min_sync_period: config.min_sync_period,
        config: Arc::clone(&config),
        machine: Machine { possible_cpus: host::possible_cpus(), memory: host::total_memory() },
    };
    let board = arguments.manifests.is_none().then(|| Arc::new(Board::default()));
    let warnings = Arc::new(Warnings::new(board.clone()));
    let health_checks = Arc::new(HealthChecks::default());
    let serve = Arc::clone(&health_checks).serve(Arc::clone(&health), Arc::clone(&warnings));
    parts.task("health-check node ports", async {
        serve.await;
        Ok(())
    });
    if let Some(path) = config.admin_socket.clone() {
        let (health, warnings) = (Arc::clone(&health), Arc::clone(&warnings));
        let desk = Desk::new(asker, health, warnings, Arc::clone(&config));
        parts.task("the admin socket", async move {
            admin::serve(&path, desk).await;
            Ok(())
        });
    }
    let health_seen = Arc::clone(&health);
    let readiness = Arc::clone(&health);
    let owners = Arc::new(Owners::default());
    let shared = Shared {
        health: Arc::clone(&health),
        pod_networks,
        warnings,
        health_checks,
        owners: Arc::clone(&owners),
    };

    // The loop's calls into the kernel block, so it has a thread of its own, and so has the audit.
    let sync = parts.thread(SYNC, move || {
        let sync = SyncLoop::new(reconciler, plane, settings, shared);
        on_this_thread(sync.run(inputs))?.map_err(anyhow::Error::from_boxed)?;
        Ok(())
    })?;
    let notices = Arc::new(Notices::default());
    let auditor =
        Auditor::new(reader, config.sync_period, part_sender, health_seen, Arc::clone(&notices));
    parts.thread("audit", move || {
        host::give_way();
        on_this_thread(auditor.run())
    })?;

    if let Some(kernel) = meter {
        let meter = Meter::new(kernel, config.traffic.clone(), owners, health, traffic, stop);
        parts.thread("traffic", move || {
            host::give_way();
            on_this_thread(meter.run())
        })?;
    }

    let binding = config.vip_binding;
    let touched = Arc::clone(&notices);
    let host = trimtab_linux::follow_host(host_sender, binding, move || touched.interface());
    parts.task("following this host's addresses", async { Ok(host.await?) });
    let rules = trimtab_linux::follow_rules(move || notices.rules());
    parts.task("following the packet-filter rules", async {
        rules.await;
        Ok(())
    });
    start_sources(arguments, &config, change_sender, board, &readiness, &parts).await?;
    let told = async {
        tokio::select! {
            signal = terminated() => {
                info!(signal = signal?, "stopping");
                Ok(())
            }
            () = config_changed => Err(anyhow::anyhow!(
                "the configuration file changed: exiting, to be restarted with it"
            )),
        }
    };
    let stop = || {
        let _ = stop_sender.send(true);
    };
    let outcome = until_end(&mut ended, SYNC, told, stop).await;
    stop();
    let _ = tokio::task::spawn_blocking(move || sync.join()).await;
    outcome
}

fn on_this_thread<F: Future>(work: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

fn settings(config: &Config, families: Vec<Family>) -> Settings {
    Settings { families, ..config.settings() }
}

/// Serves probes and metrics. If it cannot listen on an address, it retries, unless the
/// configuration says that the program must exit.
fn start_servers(observability: http::Observability, parts: &Parts) {
    let config = Arc::clone(&observability.config);
    let hard = config.bind_address_hard_fail;
    if let Some(address) = config.health_address {
        let (health, slis) = (&observability.health, &observability.slis);
        let routes = http::health_routes(Arc::clone(health), Arc::clone(slis));
        parts.task("the probe server", http::keep_listening(address, hard, routes));
    }
    if let Some(address) = config.metrics_address {
        let routes = observability.routes();
        parts.task("the metrics server", http::keep_listening(address, hard, routes));
    }
}

/// Starts the source of changes: the API server's watches or the folder of manifests.
async fn start_sources(
    arguments: &RunArgs,
    config: &Config,
    changes: mpsc::Sender<Arrival>,
    board: Option<Arc<Board>>,
    health: &Arc<Health>,
    parts: &Parts,
) -> anyhow::Result<()> {
    if let Some(folder) = arguments.manifests.clone() {
        let objects = manifests::follow(folder, config.node_name.clone(), changes);
        parts.task("following the manifests", async { Ok(objects.await?) });
    } else {
        let master = arguments.flags.master.as_deref();
        let client = watch::connect(config.kubeconfig.as_deref(), master, Role::NodeProxy).await?;
        let node_name = config.node_name.clone();
        if let Some(board) = board {
            let publisher = Publisher::new(client.clone(), &node_name, board);
            parts.task("publishing Events", async {
                publisher.run().await;
                Ok(())
            });
        }
        if config.startup_taint {
            let (client, node_name, health) =
                (client.clone(), node_name.clone(), Arc::clone(health));
            parts.task("removing the startup taint", async move {
                let is_ready = || health.readyz().ok;
                remove_when_ready(client, &node_name, is_ready, &Waits::default()).await;
                Ok(())
            });
        }
        let contact = Arc::clone(health.contact());
        if config.node_weights {
            let (client, changes, contact) =
                (client.clone(), changes.clone(), Arc::clone(&contact));
            parts.task("watching Nodes", async move {
                watch::watch_node_weights(client, changes, &contact, &Timing::default()).await;
                Ok(())
            });
        }
        parts.task("watching the API server", async move {
            watch::watch(client, &node_name, changes, &contact, &Timing::default()).await;
            Ok(())
        });
    }
    Ok(())
}

/// Waits for a signal to stop; returns its name.
async fn terminated() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use trimtab_config::fields;

    /// A value that every flag of this kind takes.
    fn value(kind: &str, flag: &str) -> &'static str {
        match (kind, flag) {
            (_, "log-format") => "json",
            ("duration", _) => "1s",
            ("integer" | "number", _) => "1",
            ("true or false", _) => "true",
            _ => "text",
        }
    }

    #[test]
    fn every_flag_of_a_field_sets_it() {
        let with_flag = || fields().iter().filter_map(|field| Some((field, field.flag?)));
        let given = with_flag().map(|(field, flag)| {
            let value = value(field.kind, flag);
            if flag == "v" { format!("-v={value}") } else { format!("--{flag}={value}") }
        });
        let line: Vec<String> =
            ["trimtab".to_owned(), "run".to_owned()].into_iter().chain(given).collect();
        let parsed = <Cli as clap::Parser>::try_parse_from(line).unwrap();
        let Command::Run(arguments) = parsed.command else { panic!("another command") };
        let mut file = ConfigFile::default();
        arguments.apply(&mut file);
        let mut expected: Vec<&str> = with_flag()
            .filter(|(field, _)| field.without_effect.is_none())
            .map(|(field, _)| field.path.as_str())
            .collect();
        expected.sort_unstable();
        assert_eq!(file.origin.fields_set_by_flags().collect::<Vec<_>>(), expected);
        // A key without effect in the file has no effect as a flag either, and says so.
        let named: Vec<&str> = arguments.flags.without_effect.given().collect();
        for (field, flag) in with_flag().filter(|(field, _)| field.without_effect.is_some()) {
            assert!(named.contains(&format!("--{flag}").as_str()), "{}", field.path);
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
