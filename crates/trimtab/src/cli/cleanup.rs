//! `trimtab cleanup`, which is also kube-proxy's `--cleanup`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hashbrown::HashSet;
use tokio::sync::watch;
use tracing::{error, info};
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::rules::{
    Backend, PacketFilter, RuleOptions, RuleSet, kube_proxy_removal, removed_objects,
};
use trimtab_host::{dummy, ipset, nftables};
use trimtab_netlink::Socket;
use trimtab_reconcile::{Reconciler, Report, Settings, execute};

use super::{kernel_options, read_config, resolve};
use trimtab_config::LogFormat;
use trimtab_config::{Config, Overrides};
use trimtab_linux::{Linux, PacketFilters};
use trimtab_reconcile::ports::{DataPlane as _, PortError, adopt};

use crate::logging;

/// Arguments of `trimtab cleanup`.
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose objects to remove. Trimtab and kube-proxy's IPVS mode have the same objects; `kube-proxy` also
    /// includes those of its iptables and nftables modes.
    #[arg(long, value_enum, default_value = "trimtab")]
    of: Proxy,
    /// Print each object that would be removed, one per line, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Whose objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Proxy {
    /// Trimtab's.
    Trimtab,
    /// kube-proxy's, of any of its modes.
    KubeProxy,
}

/// Runs `trimtab cleanup`.
pub(super) fn cleanup(arguments: &CleanupArgs) -> anyhow::Result<ExitCode> {
    let (mut file, notes) = read_config(arguments.config.as_deref())?;
    // What is left on the node does not depend on the mode in the file.
    file.mode = Some("ipvs".to_owned());
    let (config, _notes) = resolve(&file, Overrides::default(), notes)?;
    logging::start(0, LogFormat::Text);
    sweep(&config, arguments.of, arguments.dry_run).map(|()| ExitCode::SUCCESS)
}

/// Removes virtual servers and VIPs, then rules, sets and the dummy interface, of both families and
/// both kinds of iptables. A failed removal is logged, and the others are still tried.
pub(super) fn sweep(config: &Config, of: Proxy, dry_run: bool) -> anyhow::Result<()> {
    let kernel = Arc::new(kernel_options(config));
    let filters = PacketFilters::choose(kernel.iptables_backend);
    let no_networks = watch::channel(Vec::new()).1;
    let mut plane = Linux::open(kernel, Family::ALL.to_vec(), no_networks, filters)?;
    let mut broom = Broom { dry_run, failed: 0 };
    broom.withdraw(&mut plane, &config.node_name).map_err(anyhow::Error::from_boxed)?;
    broom.rules(of)?;
    let mut sets = ipset::Client::open()?;
    for set in SetId::all() {
        if sets.list(set.name())?.is_some() {
            broom.remove(&[format!("ipset {set}")], || {
                Ok(sets.destroy(&[set.name()])?.into_result()?)
            });
        }
    }
    let mut route = Socket::open(trimtab_netlink::Family::Route)?;
    if let Some(dummy) = dummy::find(&mut route, DUMMY_INTERFACE)? {
        broom.remove(&[format!("interface {DUMMY_INTERFACE}")], || {
            Ok(dummy.destroy(&mut route, DUMMY_INTERFACE)?)
        });
    }
    if of == Proxy::KubeProxy {
        let mut netfilter = Socket::open(trimtab_netlink::Family::Netfilter)?;
        for family in nftables::kube_proxy_tables(&mut netfilter)? {
            broom.remove(&[format!("nftables table {} ({family})", nftables::KUBE_PROXY)], || {
                nftables::delete_kube_proxy_table(&mut netfilter, family)?;
                Ok(())
            });
        }
    }
    let failed = broom.failed;
    anyhow::ensure!(failed == 0, "{failed} removals failed");
    Ok(())
}

/// Removes objects or, in a dry run, prints them.
struct Broom {
    dry_run: bool,
    failed: usize,
}

impl Broom {
    fn remove(&mut self, objects: &[String], remove: impl FnOnce() -> anyhow::Result<()>) {
        if self.dry_run {
            for object in objects {
                println!("{object}");
            }
            return;
        }
        match remove() {
            Ok(()) => {
                for object in objects {
                    info!("removed {object}");
                }
            }
            Err(why) => {
                self.failed += 1;
                let first = objects.first().map_or("", String::as_str);
                error!("cannot remove {first} (the first of {} objects): {why:#}", objects.len());
            }
        }
    }

    fn rules(&mut self, of: Proxy) -> anyhow::Result<()> {
        let mut backends: Vec<Option<Backend>> = Backend::ALL.map(Some).to_vec();
        backends.retain(|backend| {
            !PacketFilter::of(*backend, Family::V4).save().is_err_and(|error| error.is_no_program())
        });
        if backends.is_empty() {
            backends.push(None);
        }
        for backend in backends {
            for family in Family::ALL {
                let filter = PacketFilter::of(backend, family);
                let saved = match filter.save() {
                    Ok(saved) => saved,
                    Err(error) if error.is_no_program() => continue,
                    Err(error) => {
                        self.failed += 1;
                        error!("cannot read the {family} packet-filter rules: {error}");
                        continue;
                    }
                };
                let input = match of {
                    Proxy::Trimtab => {
                        RuleSet::new(&RuleOptions::default(), family)?.removal(&saved)
                    }
                    Proxy::KubeProxy => kube_proxy_removal(&saved),
                };
                let Some(input) = input else { continue };
                let kind = backend.map_or("", Backend::name);
                let objects: Vec<String> = removed_objects(&input)
                    .into_iter()
                    .map(|object| format!("iptables {kind} {family} {object}"))
                    .collect();
                self.remove(&objects, || Ok(filter.restore(&input)?));
            }
        }
        Ok(())
    }

    /// Removes VIPs, virtual servers and elements as if every Service had been deleted.
    fn withdraw(&mut self, plane: &mut Linux, node_name: &str) -> Result<(), PortError> {
        let settings = Settings { drain_timeout: Duration::ZERO, ..Settings::new(node_name) };
        let mut reconciler = Reconciler::new(settings);
        // Node ports are ours at the node's own addresses.
        reconciler.set_local_addresses(trimtab_linux::host::local_addresses()?);
        adopt(&mut reconciler, plane)?;
        if !self.dry_run {
            // An earlier configuration may have used the other `vipBinding`.
            plane.retire_other_binding(&HashSet::new())?;
        }
        while !reconciler.is_idle() {
            let plan = reconciler.plan(Duration::ZERO, usize::MAX);
            let report = if self.dry_run { Report::default() } else { execute(&plan, plane) };
            reconciler.take_report(&plan, &report, Duration::ZERO);
            for operation in plan.operations() {
                if self.dry_run {
                    println!("{}", operation.action);
                } else {
                    info!("{}", operation.action);
                }
            }
            for (operation, why) in &report.failed {
                self.failed += 1;
                error!("cannot {}: {why}", operation.action);
            }
        }
        Ok(())
    }
}
