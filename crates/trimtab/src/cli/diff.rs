//! `trimtab diff`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::{mpsc, watch as channel};
use trimtab_config::{Config, Overrides};
use trimtab_core::{Family, Printable};
use trimtab_kube::contact::Contact;
use trimtab_kube::manifest::read_paths;
use trimtab_kube::watch::{self, Timing};
use trimtab_kube::{Arrival, Kind};
use trimtab_linux::{Linux, PacketFilters, differences, host};
use trimtab_reconcile::Settings;

use super::{INVALID, kernel_options, print, read_config, resolve};
use crate::diff::{Difference, Wanted};

/// How long the API server may take to list everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `trimtab diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Against the cluster's objects, with the configuration and the account of the node's proxy:
  trimtab diff --config /var/lib/kube-proxy/config.conf

  # Against manifests:
  trimtab diff -f manifests/ --hostname-override node-a

Nothing is changed. A line that begins with - or + is an object that the kernel has too much or lacks, one with ! an object with another value. Virtual servers of other programs are listed separately and do not count. The exit status is 0
if the kernel holds what it should, 1 if it does not, and 2 if the input cannot be used.")]
pub struct DiffArgs {
    /// Manifests: files, folders, or - for standard input; instead of the API server.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A kubeconfig, instead of the configuration's.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    kubeconfig: Option<PathBuf>,
    /// The API server, instead of the kubeconfig's.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    master: Option<String>,
    /// The node's name, instead of this host's.
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
}

/// Prints the differences; exit status 1 if there are any.
pub(super) fn diff(arguments: &DiffArgs) -> anyhow::Result<ExitCode> {
    let config = read_config(arguments.config.as_deref()).and_then(|(mut file, notes)| {
        // The comparison is for IPVS, whatever mode the node uses now.
        file.mode = Some("ipvs".to_owned());
        let hostname = arguments.hostname_override.clone();
        resolve(&file, Overrides { hostname, ..Overrides::default() }, notes)
    });
    let config = match config {
        Ok((config, _notes)) => config,
        Err(error) => return Ok(complain(&error)),
    };
    let options = Arc::new(kernel_options(&config));
    let filters = PacketFilters::choose(options.iptables_backend);
    let families = filters.families(&host::families());
    let settings = Settings { families: families.clone(), ..config.settings() };
    let mut wanted = Wanted::new(settings, host::local_addresses()?);
    if arguments.files.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(list(arguments, &config, &mut wanted))?;
    } else {
        match read_paths(&arguments.files) {
            Ok(manifest) => wanted.take_manifest(&manifest, &config),
            Err(error) => return Ok(complain(&error)),
        }
    }
    let pod_networks = wanted.node().pod_cidrs.clone();
    let networks = channel::channel(pod_networks.clone()).1;
    let mut kernel = Linux::open(Arc::clone(&options), families.clone(), networks, filters)?;
    let host = differences(&options, &pod_networks, &families, filters)?;
    let found = wanted.compare(&mut kernel).map_err(anyhow::Error::from_boxed)?;
    print(&report(&host, &found))?;
    let is_same = host.is_empty() && found.operations.is_empty();
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn complain(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("trimtab diff: {}", Printable(&error.to_string()));
    ExitCode::from(INVALID)
}

/// Reads every list of the API server once.
async fn list(arguments: &DiffArgs, config: &Config, wanted: &mut Wanted) -> anyhow::Result<()> {
    let kubeconfig = arguments.kubeconfig.as_deref().or(config.kubeconfig.as_deref());
    let client = watch::connect(kubeconfig, arguments.master.as_deref()).await?;
    let (sender, mut arrivals) = mpsc::channel::<Arrival>(4);
    let (contact, timing) = (Contact::default(), Timing::default());
    let mut missing: BTreeSet<Kind> = Kind::ALL.into_iter().collect();
    if !config.node_weights {
        missing.remove(&Kind::NodeWeights);
    }
    let objects =
        watch::watch(client.clone(), &config.node_name, sender.clone(), &contact, &timing);
    let weights = async {
        if config.node_weights {
            watch::watch_node_weights(client, sender, &contact, &timing).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let take = async {
        while !missing.is_empty() {
            let Some(arrival) = arrivals.recv().await else { break };
            for change in arrival.changes {
                if let Some(kind) = wanted.take_change(change, config) {
                    missing.remove(&kind);
                }
            }
        }
    };
    let listed = async {
        tokio::select! {
            () = take => {}
            () = objects => {}
            () = weights => {}
        }
    };
    tokio::time::timeout(PATIENCE, listed)
        .await
        .context("the API server did not list everything within a minute")
}

/// A line for each difference, and virtual servers of other programs.
fn report(host: &[String], found: &Difference) -> String {
    let mut text = String::new();
    for line in host {
        let _ = writeln!(text, "! {line}");
    }
    for operation in &found.operations {
        let sign = match operation.split(' ').next() {
            Some("add" | "bind") => '+',
            Some("delete" | "unbind" | "drain") => '-',
            _ => '!',
        };
        let _ = writeln!(text, "{sign} {operation}");
    }
    let count = host.len() + found.operations.len();
    let _ = writeln!(text, "{count} differences");
    if !found.foreign.is_empty() {
        let _ = writeln!(text, "\nof other programs, which Trimtab leaves alone:");
        for frontend in &found.foreign {
            let family = if frontend.family() == Family::V6 { " (IPv6)" } else { "" };
            let _ = writeln!(text, "  virtual server {frontend}{family}");
        }
    }
    text
}
