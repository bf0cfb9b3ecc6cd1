//! `trimtab diff`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::mpsc;
use trimtab_config::Config;
use trimtab_core::Family;
use trimtab_kube::contact::Contact;
use trimtab_kube::manifest::read_paths;
use trimtab_kube::watch::{self, Role, Timing};
use trimtab_kube::{Arrival, Change, Kind};
use trimtab_linux::{Inspector, PacketFilters, differences, host};

use super::ipvs_config::read_for_ipvs;
use super::{invalid, kernel_options, print, say_all};
use crate::diff::{Difference, Wanted};
use crate::terminal::Progress;

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

Nothing is changed: the module ip_vs, if it is missing, stays missing, and everything in it counts as
missing. A line that begins with + is an object that the kernel lacks, one with - an object that it
has too much, one with ! an object with another value. Virtual servers of other programs are listed
separately and do not count. The exit status is 0 if the kernel holds what it should, 1 if it does
not, and 2 if the input cannot be used.")]
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
    let hostname = arguments.hostname_override.as_deref();
    let (config, notes) = match read_for_ipvs("diff", arguments.config.as_deref(), hostname) {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    say_all("trimtab diff", &notes);
    let options = kernel_options(&config);
    let filters = PacketFilters::choose(options.iptables_backend);
    let families = filters.families(&host::families());
    let mut wanted = Wanted::new(&config, families.clone(), host::local_addresses()?);
    if arguments.files.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(list(arguments, &config, &mut wanted))?;
    } else {
        match read_paths(&arguments.files) {
            Ok(manifest) => {
                manifest.into_changes(&config.node_name).into_iter().for_each(|change| {
                    wanted.take(change);
                });
            }
            Err(error) => return Ok(invalid("diff", &error)),
        }
    }
    let mut kernel = Inspector::open(config.vip_binding)?;
    let host = differences(&mut kernel, &options, wanted.pod_networks(), &families, filters)?;
    let found = wanted.compare(&mut kernel).map_err(anyhow::Error::from_boxed)?;
    print(&report(&host, &found))?;
    let is_same = host.is_empty() && found.operations.is_empty();
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads every list of the API server once.
async fn list(
    arguments: &DiffArgs,
    config: &Config,
    wanted: &mut Wanted<'_>,
) -> anyhow::Result<()> {
    let kubeconfig = arguments.kubeconfig.as_deref().or(config.kubeconfig.as_deref());
    let client = watch::connect(kubeconfig, arguments.master.as_deref(), Role::Diff).await?;
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
        let (mut progress, mut count) = (Progress::start(), 0);
        while !missing.is_empty() {
            progress.step(&format!("listing objects of the API server: {count}"));
            let Some(arrival) = arrivals.recv().await else { break };
            count += arrival.changes.len();
            for change in arrival.changes {
                if let Change::End(kind) = &change {
                    missing.remove(kind);
                }
                wanted.take(change);
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
