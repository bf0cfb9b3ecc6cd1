//! `trimtab trace`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use trimtab_admin::{Client, SOCKET, Selection};
use trimtab_config::Config;
use trimtab_core::Protocol;
use trimtab_core::objects::LocalAddress;
use trimtab_host::rules::DetectLocal;
use trimtab_linux::{Inspector, PacketFilters, host};
use trimtab_reconcile::KernelState;
use trimtab_trace::{Node, trace as follow};

use super::ipvs_config::read_for_ipvs;
use super::plan::{Read, Sources, local_address, read_sources};
use super::{invalid, print, say, say_all};
use crate::trace::{From, Owners, Question, Source, destination, json, kernel_state, source, text};

/// Who says something on standard error.
const WHO: &str = "trimtab trace";

/// Arguments of `trimtab trace`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # On a node, as root: what a pod's connection to the cluster's DNS meets
  trimtab trace 10.244.1.7 10.96.0.10:53 udp --config /var/lib/kube-proxy/config.conf

  # What this node itself meets there, with the source address that the kernel chooses:
  trimtab trace node 10.96.0.10:53 udp --config /var/lib/kube-proxy/config.conf

  # Anywhere, for a node of that name and with that address:
  kubectl get services,endpointslices,nodes -A -o yaml |
    trimtab trace -f - 203.0.113.9 10.0.0.10:30080 \\
      --hostname-override node-a --local-address eth0=10.0.0.10 --config config.yaml

Nothing is changed. The rules are those that follow from the configuration; on a node, a warning says
if the kernel has others. Rules of other programs are not considered. The exit status is 2 if the
input cannot be used.")]
pub struct TraceArgs {
    /// Who sends the packet: an address, with or without a port, or the word `node` for this node.
    #[arg(value_name = "SRC[:PORT]", value_parser = source)]
    source: Source,
    /// Where the packet is sent.
    #[arg(value_name = "DST:PORT", value_parser = destination)]
    destination: SocketAddr,
    /// By which protocol.
    #[arg(value_enum, default_value = "tcp")]
    protocol: ProtocolName,
    /// Where the packet comes from. Default: where its source address belongs.
    #[arg(long, value_enum)]
    from: Option<From>,
    /// The interface by which the packet comes in. Default: one that fits where it comes from.
    #[arg(long, value_name = "NAME")]
    in_interface: Option<Box<str>>,
    /// Manifests instead of the kernel: files, folders, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's name, with manifests. Default: this host's name.
    #[arg(long, value_name = "NAME", requires = "files")]
    hostname_override: Option<String>,
    /// An address of the node, such as eth0=10.0.0.1, with manifests. Default: this host's own
    /// addresses.
    #[arg(long, value_name = "DEV=ADDRESS", value_parser = local_address, requires = "files")]
    local_address: Vec<LocalAddress>,
    /// A network of the node's own pods, one of its spec.podCIDRs. Default: those of the manifests'
    /// Node.
    #[arg(long, value_name = "CIDR")]
    pod_network: Vec<IpNet>,
    /// The admin socket of the daemon, which knows the names of Services.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// How to print.
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Sentences.
    Text,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProtocolName {
    Tcp,
    Udp,
    Sctp,
}

impl ProtocolName {
    const fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::Tcp,
            Self::Udp => Protocol::Udp,
            Self::Sctp => Protocol::Sctp,
        }
    }
}

/// What a trace goes through.
struct Held {
    config: Config,
    state: KernelState,
    owners: Owners,
    local: Vec<LocalAddress>,
    pod_networks: Vec<IpNet>,
}

/// Prints the trace; exit status 2 if the input does not parse.
pub(super) fn trace(arguments: &TraceArgs) -> anyhow::Result<ExitCode> {
    let question = Question {
        source: arguments.source,
        destination: arguments.destination,
        protocol: arguments.protocol.protocol(),
        from: arguments.from,
        interface: arguments.in_interface.clone(),
    };
    let family = match question.family() {
        Ok(family) => family,
        Err(error) => return Ok(invalid("trace", &error)),
    };
    let held = if arguments.files.is_empty() {
        from_kernel(arguments)?
    } else {
        from_manifests(arguments)?
    };
    let held = match held {
        Ok(held) => held,
        Err(status) => return Ok(status),
    };
    let rules = match held.config.rules.rule_sets(&held.pod_networks, &[family]) {
        Ok(rules) => rules,
        Err(error) => return Ok(invalid("trace", &error)),
    };
    let [rules] = rules.as_slice() else { anyhow::bail!("there are no {family} rules") };
    let node =
        Node { state: &held.state, rules, local: &held.local, pod_networks: &held.pod_networks };
    if arguments.files.is_empty() {
        let filters = PacketFilters::choose(held.config.iptables_backend);
        if rules.difference(&filters.of(family).save()?).is_some() {
            say(
                WHO,
                "the kernel's packet-filter rules are not those that follow from this \
                  configuration, and the packet may fare otherwise: see trimtab diff",
            );
        }
    }
    let trace = follow(&node, &question.packet(&node, held.config.vip_binding));
    print(&match arguments.output {
        Output::Text => text(&trace, &held.owners),
        Output::Json => json(&trace, &held.owners),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the kernel should hold for manifests.
fn from_manifests(arguments: &TraceArgs) -> anyhow::Result<Result<Held, ExitCode>> {
    let sources = Sources {
        command: "trace",
        files: &arguments.files,
        config: arguments.config.as_deref(),
        hostname: arguments.hostname_override.as_deref(),
        local: &arguments.local_address,
    };
    let read = read_sources(&sources)?;
    Ok(read.map(|Read { config, planned, local, pod_networks }| {
        let given = arguments.pod_network.clone();
        let pod_networks = if given.is_empty() { pod_networks } else { given };
        let owners = Owners::planned(&planned.services);
        Held { config, state: planned.state, owners, local, pod_networks }
    }))
}

/// What this node's kernel holds.
fn from_kernel(arguments: &TraceArgs) -> anyhow::Result<Result<Held, ExitCode>> {
    let (config, notes) = match read_for_ipvs("trace", arguments.config.as_deref(), None) {
        Ok(read) => read,
        Err(status) => return Ok(Err(status)),
    };
    say_all(WHO, &notes);
    if config.rules.detect == DetectLocal::NodeNetworks && arguments.pod_network.is_empty() {
        let why = "detectLocalMode is NodeCIDR, so the rules depend on the spec.podCIDRs of the Node, \
                   which the kernel does not tell: give each as --pod-network";
        return Ok(Err(invalid("trace", &why)));
    }
    let mut kernel = Inspector::open(config.vip_binding)?;
    let state = kernel_state(&mut kernel).map_err(anyhow::Error::from_boxed)?;
    let (local, pod_networks) = (host::local_addresses()?, arguments.pod_network.clone());
    Ok(Ok(Held { config, state, owners: ask_owners(arguments), local, pod_networks }))
}

/// Which Services ask for the destination, as the daemon says; nobody if there is none.
fn ask_owners(arguments: &TraceArgs) -> Owners {
    let (address, port) = (arguments.destination.ip(), arguments.destination.port());
    let selection = Selection { address: Some(address), port: Some(port), ..Selection::default() };
    let mut owners = Owners::default();
    let asked = Client::connect(&arguments.socket)
        .and_then(|mut client| client.services(&selection, |service| owners.add(&service)));
    match asked {
        Err(error) if !error.is_no_daemon() => {
            say(WHO, &format!("names of Services are not known: {error}"));
        }
        _ => {}
    }
    owners
}
