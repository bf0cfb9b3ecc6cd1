//! `trimtab plan`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{DUMMY_INTERFACE, Family};

use super::ipvs_config::read_for_ipvs;
use super::{INVALID, invalid, print, say_all};
use crate::plan::{Output, Planned, plan as plan_objects, render};
use trimtab_config::Config;
use trimtab_kube::manifest::{Manifest, read_paths};

/// Arguments of `trimtab plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # What a node would hold for the objects of a cluster:
  kubectl get services,endpointslices,nodes -A -o yaml |
    trimtab plan -f - --hostname-override node-a --local-address eth0=10.0.0.10

  # Only the virtual servers of IPv4, to compare with `ipvsadm -Sn`:
  trimtab plan -f manifests/ -o ipvsadm --family ipv4

The exit status is 2 if the manifests or the configuration cannot be used.")]
pub struct PlanArgs {
    /// Manifests: files, folders, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,
    /// A KubeProxyConfiguration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's name. Default: this host's name.
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// An address of the node, such as eth0=10.0.0.1. Default: this host's own addresses.
    #[arg(long, value_name = "DEV=ADDRESS", value_parser = local_address)]
    local_address: Vec<LocalAddress>,
    /// Which address families to show.
    #[arg(long, value_enum, default_value = "both")]
    family: Families,
    /// Which part to show. Default: all of them, in sections.
    #[arg(short = 'o', long, value_enum)]
    output: Option<Output>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Families {
    Ipv4,
    Ipv6,
    Both,
}

impl Families {
    const fn list(self) -> &'static [Family] {
        match self {
            Self::Ipv4 => &[Family::V4],
            Self::Ipv6 => &[Family::V6],
            Self::Both => &Family::ALL,
        }
    }
}

pub(super) fn local_address(text: &str) -> Result<LocalAddress, String> {
    let (interface, address) =
        text.split_once('=').ok_or("expected DEV=ADDRESS, such as eth0=10.0.0.1")?;
    // With or without a prefix length, which is ignored.
    let address = address.split_once('/').map_or(address, |(address, _)| address);
    let address = address.parse().map_err(|_| format!("{address:?} is not an IP address"))?;
    Ok(LocalAddress { interface: interface.into(), address })
}

/// What a plan is made from.
pub(super) struct Sources<'a> {
    /// The command that asks, for messages.
    pub(super) command: &'static str,
    pub(super) files: &'a [PathBuf],
    pub(super) config: Option<&'a Path>,
    pub(super) hostname: Option<&'a str>,
    /// The node's addresses; none for those of this host.
    pub(super) local: &'a [LocalAddress],
}

/// A plan, and what it was made from.
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) planned: Planned,
    pub(super) local: Vec<LocalAddress>,
    pub(super) pod_networks: Vec<IpNet>,
}

/// Reads and plans; the exit status if the input cannot be used, which has been said then.
pub(super) fn read_sources(sources: &Sources<'_>) -> anyhow::Result<Result<Read, ExitCode>> {
    let who = format!("trimtab {}", sources.command);
    let (config, notes) = match read_for_ipvs(sources.command, sources.config, sources.hostname) {
        Ok(read) => read,
        Err(status) => return Ok(Err(status)),
    };
    say_all(&who, &notes);
    let manifest = match read_paths(sources.files) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(invalid(sources.command, &error))),
    };
    let local: Vec<LocalAddress> = if sources.local.is_empty() {
        trimtab_linux::host::local_addresses()?
    } else {
        // An address on the dummy interface is a VIP, not an address of the node.
        let given = sources.local.iter();
        given.filter(|address| &*address.interface != DUMMY_INTERFACE).cloned().collect()
    };
    let pod_networks = pod_networks(&manifest, &config.node_name);
    let planned = plan_objects(manifest, &config, local.clone());
    say_all(&who, &planned.notes);
    if planned.invalid {
        return Ok(Err(ExitCode::from(INVALID)));
    }
    Ok(Ok(Read { config, planned, local, pod_networks }))
}

/// Prints the plan; exit status 2 if the input does not parse.
pub(super) fn plan(arguments: &PlanArgs) -> anyhow::Result<ExitCode> {
    let sources = Sources {
        command: "plan",
        files: &arguments.files,
        config: arguments.config.as_deref(),
        hostname: arguments.hostname_override.as_deref(),
        local: &arguments.local_address,
    };
    let Read { config, planned, pod_networks, .. } = match read_sources(&sources)? {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    let families = arguments.family.list();
    let text = match render(&planned, &config, &pod_networks, families, arguments.output) {
        Ok(text) => text,
        Err(error) => return Ok(invalid("plan", &error)),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The pod networks of a node in the manifests.
fn pod_networks(manifest: &Manifest, node_name: &str) -> Vec<IpNet> {
    let state = manifest.nodes.get(node_name).and_then(|node| node.decoded.value.as_ref());
    state.map(|state| state.facts.pod_cidrs.clone()).unwrap_or_default()
}
