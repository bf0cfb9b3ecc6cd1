//! `trimtab cleanup`, which is also kube-proxy's `--cleanup`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::watch;
use tracing::{error, info};
use trimtab_config::{Config, LogFormat};
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::rules::{
    Backend, PacketFilter, RuleOptions, RuleSet, kube_proxy_removal, removed_objects,
};
use trimtab_host::{VipBinding, dummy, ipset, local_route, nftables};
use trimtab_linux::{Inspector, Linux, PacketFilters};
use trimtab_netlink::Socket;
use trimtab_reconcile::ports::adopt;
use trimtab_reconcile::{Reconciler, Report, Settings, execute};

use super::ipvs_config::read_for_ipvs;
use super::kernel_options;
use crate::logging;

/// Arguments of `trimtab cleanup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # List what would be removed, one object per line:
  trimtab cleanup --dry-run

  # Give the node up, after Trimtab was stopped on it:
  trimtab cleanup

  # Remove what kube-proxy left in any of its modes, in both kinds of iptables:
  trimtab cleanup --of kube-proxy

Virtual servers, sets, chains, routes and addresses of other programs stay, and so do sysctls. A
running `trimtab run` or kube-proxy programs everything again: stop it first. Open connections are
lost with their virtual servers. The exit status is 0 if everything was removed, 1 if something
could not be, and 2 if the configuration cannot be used.")]
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
    let (config, _notes) = match read_for_ipvs("cleanup", arguments.config.as_deref(), None) {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    logging::start(0, LogFormat::Text);
    sweep(&config, arguments.of, arguments.dry_run).map(|()| ExitCode::SUCCESS)
}

/// Removes virtual servers and VIPs, then rules, sets and the dummy interface, of both families and
/// both kinds of iptables. A failed removal is logged, and the others are still tried.
pub(super) fn sweep(config: &Config, of: Proxy, dry_run: bool) -> anyhow::Result<()> {
    let mut broom = Broom { dry_run, failed: 0 };
    broom.withdraw(config)?;
    let mut route = Socket::open(trimtab_netlink::Family::Route)?;
    broom.routes(&mut route)?;
    broom.rules(of)?;
    broom.sets()?;
    if let Some(dummy) = dummy::find(&mut route, DUMMY_INTERFACE)? {
        broom.remove(&[format!("interface {DUMMY_INTERFACE}")], || {
            Ok(dummy.destroy(&mut route, DUMMY_INTERFACE)?)
        });
    }
    if of == Proxy::KubeProxy {
        broom.nftables()?;
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
    fn withdraw(&mut self, config: &Config) -> anyhow::Result<()> {
        // VIPs that are bound by routes are removed by themselves.
        let binding = VipBinding::Address;
        let mut kernel = Inspector::open(binding)?;
        let settings =
            Settings { drain_timeout: Duration::ZERO, ..Settings::new(&config.node_name) };
        let mut reconciler = Reconciler::new(settings);
        // Node ports are ours at the node's own addresses.
        reconciler.set_local_addresses(trimtab_linux::host::local_addresses()?);
        adopt(&mut reconciler, &mut kernel).map_err(anyhow::Error::from_boxed)?;
        let mut plane = if self.dry_run || !kernel.has_ipvs() {
            // Without IPVS, nothing but elements and addresses is left, which go with their sets and
            // with the interface.
            None
        } else {
            let options = trimtab_linux::Options { vip_binding: binding, ..kernel_options(config) };
            let filters = PacketFilters::choose(options.iptables_backend);
            let no_networks = watch::channel(Vec::new()).1;
            Some(Linux::open(Arc::new(options), Family::ALL.to_vec(), no_networks, filters)?)
        };
        while !reconciler.is_idle() {
            let plan = reconciler.plan(Duration::ZERO, usize::MAX);
            let report = plane.as_mut().map_or_else(Report::default, |plane| execute(&plan, plane));
            reconciler.take_report(&plan, &report, Duration::ZERO);
            for operation in plan.operations() {
                if self.dry_run {
                    println!("{}", operation.action);
                } else if plane.is_some() {
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

    /// Removes the VIPs that are bound by routes.
    fn routes(&mut self, route: &mut Socket) -> anyhow::Result<()> {
        let vips: Vec<IpAddr> = local_route::list(route)?.into_iter().map(|one| one.vip).collect();
        if !vips.is_empty() {
            let objects: Vec<String> = vips.iter().map(|vip| format!("route of {vip}")).collect();
            self.remove(&objects, || Ok(local_route::delete(route, &vips)?.into_result()?));
        }
        Ok(())
    }

    fn sets(&mut self) -> anyhow::Result<()> {
        let mut inspector = Inspector::open(VipBinding::Address)?;
        for set in SetId::all() {
            if inspector.has_set(set)? {
                self.remove(&[format!("ipset {set}")], || {
                    Ok(ipset::Client::open()?.destroy(&[set.name()])?.into_result()?)
                });
            }
        }
        Ok(())
    }

    fn nftables(&mut self) -> anyhow::Result<()> {
        let mut netfilter = Socket::open(trimtab_netlink::Family::Netfilter)?;
        for family in nftables::kube_proxy_tables(&mut netfilter)? {
            self.remove(&[format!("nftables table {} ({family})", nftables::KUBE_PROXY)], || {
                nftables::delete_kube_proxy_table(&mut netfilter, family)?;
                Ok(())
            });
        }
        Ok(())
    }
}
