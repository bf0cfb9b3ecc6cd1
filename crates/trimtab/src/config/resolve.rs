//! From the file and the flags to settings that hold together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use trimtab_core::Scheduler;
use trimtab_host::sysctl::{ConntrackOptions, EstimationOptions};
use trimtab_reconcile::{ExternalIpPolicy, NodePortAddresses};

use super::file::{ConfigFile, Period};
use super::kernel::{connection_table_bits, estimation, vip_binding};
use super::networks::{network_pair, networks};
use super::{Error, Notes};

/// kube-proxy's defaults.
const SYNC_PERIOD: Duration = Duration::from_secs(30);
const HEALTH_PORT: u16 = 10256;
const METRICS_PORT: u16 = 10249;
const MASQUERADE_BIT: u8 = 14;
const OOM_SCORE_ADJ: i32 = -999;
const CONNTRACK_PER_CORE: i64 = 32_768;
const CONNTRACK_MIN: i64 = 131_072;
const CONNTRACK_ESTABLISHED: Duration = Duration::from_secs(24 * 60 * 60);
const CONNTRACK_CLOSE_WAIT: Duration = Duration::from_secs(60 * 60);
/// Ours.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What is given beside the file and goes before it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--proxy-mode`
    pub mode: Option<String>,
    /// `--hostname-override`
    pub hostname: Option<String>,
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// The host's own name, used if nothing else is given.
    pub host: String,
}

/// The configuration as the program uses it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "kube-proxy's own switches, each by itself")]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// Kubeconfig; `None` for the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// Where /healthz is served; `None` for nowhere.
    pub health_address: Option<SocketAddr>,
    /// Where /metrics is served; `None` for nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Exit when one of these addresses cannot be bound.
    pub bind_address_hard_fail: bool,
    /// Overrides the node's own address of its family.
    pub bind_address: Option<IpAddr>,
    /// Time between two comparisons with the kernel.
    pub sync_period: Duration,
    /// Shortest time between two rounds of changes.
    pub min_sync_period: Duration,
    /// Scheduler of Services that do not ask for another.
    pub scheduler: Scheduler,
    /// Virtual servers in these networks are never deleted.
    pub exclude: Vec<IpNet>,
    /// Which external and load-balancer IPs are served.
    pub external_ips: ExternalIpPolicy,
    /// Answer ARP only for addresses of the interface that was asked.
    pub strict_arp: bool,
    /// IPVS timeouts: TCP, TCP after FIN, UDP; zero leaves the kernel's.
    pub timeouts: [Duration; 3],
    /// Which node addresses serve node ports.
    pub node_port_addresses: NodePortAddresses,
    /// How traffic from local pods is told apart.
    pub detect: Detect,
    /// The bit of the packet mark that asks for masquerading.
    pub masquerade_bit: u8,
    /// Masquerade everything that goes to a cluster IP.
    pub masquerade_all: bool,
    /// How long a real server that left may keep its connections.
    pub drain_timeout: Duration,
    /// How the kernel is told that a VIP is this node's.
    pub vip_binding: VipBinding,
    /// log2 of the buckets of IPVS's connection table; `None` for a size that fits the node.
    pub connection_table_bits: Option<u8>,
    /// IPVS's measuring of rates.
    pub estimation: EstimationOptions,
    /// Whether Nodes may give their endpoints a weight.
    pub node_weights: bool,
    /// Connection tracking.
    pub conntrack: ConntrackOptions,
    /// `logging.verbosity`, where the file gives it.
    pub verbosity: Option<u8>,
    /// `logging.format`, where the file gives it.
    pub log_format: Option<String>,
    /// The kernel's inclination to end this process when memory is short.
    pub oom_score_adj: i32,
}

/// How the kernel is told that a VIP is this node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VipBinding {
    /// By an address on the dummy interface, as kube-proxy does.
    #[default]
    Address,
    /// By a route of type `local`.
    Route,
}

/// How traffic from local pods is told from other traffic to cluster IPs, which is masqueraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detect {
    /// By the pods' networks, at most one of each family; without any, only a VIP as source counts.
    Networks(Vec<IpNet>),
    /// By the node's own pod networks, `spec.podCIDRs`.
    NodeNetworks,
    /// By the bridge they come in through.
    Bridge(String),
    /// By the beginning of the interface's name.
    InterfacePrefix(String),
}

/// Puts a configuration file and what goes before it together, with kube-proxy's defaults.
///
/// # Errors
/// [`Error::Value`] naming the first field whose value cannot be used.
pub fn resolve(file: &ConfigFile, overrides: &Overrides) -> Result<(Config, Notes), Error> {
    let mut notes = Notes::new();
    check_mode(file, overrides, &mut notes)?;
    let hostname = overrides.hostname.as_deref().or(file.hostname_override.as_deref());
    let node_name = hostname.map(str::trim).filter(|name| !name.is_empty());
    let node_name = node_name.unwrap_or(overrides.host.trim()).to_lowercase();
    if node_name.is_empty() {
        return Err(Error::value("hostnameOverride", "this host has no name; give the node's"));
    }
    let kubeconfig = file.client_connection.kubeconfig.as_deref().filter(|path| !path.is_empty());
    let bind_address = bind_address(file)?;
    let six = bind_address.is_some_and(|address| address.is_ipv6());
    let sync_period = period(file.ipvs.sync_period, SYNC_PERIOD);
    if sync_period.is_zero() {
        return Err(Error::value("ipvs.syncPeriod", "must be greater than 0"));
    }
    let min_sync_period = period(file.ipvs.min_sync_period, Duration::ZERO);
    if min_sync_period > sync_period {
        return Err(Error::value("ipvs.minSyncPeriod", "must not be greater than syncPeriod"));
    }
    let config = Config {
        node_name,
        kubeconfig: overrides.kubeconfig.clone().or_else(|| kubeconfig.map(PathBuf::from)),
        health_address: listen_address(
            "healthzBindAddress",
            file.healthz_bind_address.as_deref(),
            unspecified(six),
            HEALTH_PORT,
        )?,
        metrics_address: listen_address(
            "metricsBindAddress",
            file.metrics_bind_address.as_deref(),
            loopback(six),
            METRICS_PORT,
        )?,
        bind_address_hard_fail: file.bind_address_hard_fail.unwrap_or(false),
        bind_address: bind_address.filter(|address| !address.is_unspecified()),
        sync_period,
        min_sync_period,
        scheduler: scheduler(file.ipvs.scheduler.as_deref())?,
        exclude: networks("ipvs.excludeCIDRs", strs(file.ipvs.exclude_cidrs.as_deref()))?,
        external_ips: external_ips(file)?,
        strict_arp: file.ipvs.strict_arp.unwrap_or(false),
        timeouts: [file.ipvs.tcp_timeout, file.ipvs.tcp_fin_timeout, file.ipvs.udp_timeout]
            .map(|timeout| period(timeout, Duration::ZERO)),
        node_port_addresses: node_port_addresses(file)?,
        detect: detect(file, &mut notes)?,
        masquerade_bit: masquerade_bit(file)?,
        masquerade_all: file.iptables.masquerade_all.unwrap_or(false),
        drain_timeout: period(file.trimtab.drain_timeout, DRAIN_TIMEOUT),
        vip_binding: vip_binding(file)?,
        connection_table_bits: connection_table_bits(file)?,
        estimation: estimation(file)?,
        node_weights: file.trimtab.node_weights.unwrap_or(false),
        conntrack: conntrack(file)?,
        verbosity: file
            .logging
            .verbosity
            .map(|level| u8::try_from(level.max(0)).unwrap_or(u8::MAX)),
        log_format: file.logging.format.clone(),
        oom_score_adj: oom_score_adj(file)?,
    };
    Ok((config, notes))
}

fn oom_score_adj(file: &ConfigFile) -> Result<i32, Error> {
    let score = file.oom_score_adj.unwrap_or(OOM_SCORE_ADJ);
    if !(-1000..=1000).contains(&score) {
        let message = format!("{score} is not between -1000 and 1000");
        return Err(Error::value("oomScoreAdj", message));
    }
    Ok(score)
}

fn check_mode(file: &ConfigFile, overrides: &Overrides, notes: &mut Notes) -> Result<(), Error> {
    let (field, mode) = match &overrides.mode {
        Some(mode) => ("--proxy-mode", mode.as_str()),
        None => ("mode", file.mode.as_deref().unwrap_or_default()),
    };
    match mode {
        "ipvs" => Ok(()),
        "" => {
            notes.push("mode is not given: taken as ipvs, the only one there is".to_owned());
            Ok(())
        }
        "iptables" | "nftables" | "kernelspace" | "userspace" => Err(Error::value(
            field,
            format!(
                "{mode:?} is a mode of kube-proxy: Trimtab programs IPVS and nothing else. Set it to \
                 \"ipvs\", or run kube-proxy on this node for {mode}"
            ),
        )),
        other => Err(Error::value(field, format!("unknown mode {other:?}; the only one is ipvs"))),
    }
}

fn period(given: Option<Period>, default: Duration) -> Duration {
    given.map_or(default, |Period(period)| period)
}

fn strs(texts: Option<&[String]>) -> impl Iterator<Item = &str> {
    texts.unwrap_or_default().iter().map(String::as_str)
}

fn bind_address(file: &ConfigFile) -> Result<Option<IpAddr>, Error> {
    let Some(text) = file.bind_address.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address = text.parse();
    address
        .map(Some)
        .map_err(|_| Error::value("bindAddress", format!("{text:?} is not an IP address")))
}

fn unspecified(six: bool) -> IpAddr {
    if six { [0u16; 8].into() } else { [0u8; 4].into() }
}

fn loopback(six: bool) -> IpAddr {
    if six { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() }
}

/// An address with a port, or a lone address; empty for the default, port 0 for nowhere.
fn listen_address(
    field: &str,
    text: Option<&str>,
    default: IpAddr,
    port: u16,
) -> Result<Option<SocketAddr>, Error> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(Some(SocketAddr::new(default, port)));
    };
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, port)))
        .map_err(|_| {
            Error::value(field, format!("{text:?} is not an address such as 0.0.0.0:{port}"))
        })?;
    Ok((address.port() != 0).then_some(address))
}

fn scheduler(name: Option<&str>) -> Result<Scheduler, Error> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(Scheduler::RoundRobin),
        Some(name) => name.parse().map_err(|why| Error::value("ipvs.scheduler", format!("{why}"))),
    }
}

fn node_port_addresses(file: &ConfigFile) -> Result<NodePortAddresses, Error> {
    let list: Vec<&str> = strs(file.node_port_addresses.as_deref()).collect();
    if list.is_empty() {
        return Ok(NodePortAddresses::All);
    }
    if list == ["primary"] {
        return Ok(NodePortAddresses::Primary);
    }
    if list.contains(&"primary") {
        let message = "primary stands alone, it cannot be combined with CIDRs";
        return Err(Error::value("nodePortAddresses", message));
    }
    networks("nodePortAddresses", list).map(NodePortAddresses::Networks)
}

fn external_ips(file: &ConfigFile) -> Result<ExternalIpPolicy, Error> {
    let given = &file.trimtab.external_ips;
    let list = |field: &str, texts: Option<&[String]>| {
        networks(&format!("trimtab.externalIPs.{field}"), strs(texts))
    };
    Ok(ExternalIpPolicy {
        allowed: list("allowedCIDRs", given.allowed_cidrs.as_deref())?,
        denied: list("deniedCIDRs", given.denied_cidrs.as_deref())?,
        node_addresses: given.allow_node_addresses.unwrap_or(true),
    })
}

fn detect(file: &ConfigFile, notes: &mut Notes) -> Result<Detect, Error> {
    let needed = |field: &str, value: &Option<String>| {
        value.clone().filter(|value| !value.is_empty()).ok_or_else(|| {
            Error::value(format!("detectLocal.{field}"), "needed by this detectLocalMode")
        })
    };
    match file.detect_local_mode.as_deref().unwrap_or_default() {
        "" | "ClusterCIDR" => {
            let text = file.cluster_cidr.as_deref().unwrap_or_default();
            let networks = network_pair("clusterCIDR", text)?;
            if networks.is_empty() {
                notes.push(
                    "clusterCIDR is not given: only what the node itself sends to a cluster IP is \
                     masqueraded"
                        .to_owned(),
                );
            }
            Ok(Detect::Networks(networks))
        }
        "NodeCIDR" => Ok(Detect::NodeNetworks),
        "BridgeInterface" => {
            needed("bridgeInterface", &file.detect_local.bridge_interface).map(Detect::Bridge)
        }
        "InterfaceNamePrefix" => {
            needed("interfaceNamePrefix", &file.detect_local.interface_name_prefix)
                .map(Detect::InterfacePrefix)
        }
        other => Err(Error::value(
            "detectLocalMode",
            format!(
                "unknown mode {other:?}: expected ClusterCIDR, NodeCIDR, BridgeInterface or \
                 InterfaceNamePrefix"
            ),
        )),
    }
}

fn masquerade_bit(file: &ConfigFile) -> Result<u8, Error> {
    match file.iptables.masquerade_bit {
        None => Ok(MASQUERADE_BIT),
        Some(bit) => u8::try_from(bit).ok().filter(|bit| *bit < 32).ok_or_else(|| {
            Error::value("iptables.masqueradeBit", format!("{bit} is not between 0 and 31"))
        }),
    }
}

fn conntrack(file: &ConfigFile) -> Result<ConntrackOptions, Error> {
    let count = |field: &str, given: Option<i64>, default: i64| {
        let given = given.unwrap_or(default);
        u32::try_from(given).map_err(|_| {
            Error::value(format!("conntrack.{field}"), format!("{given} is not a count"))
        })
    };
    let conntrack = &file.conntrack;
    Ok(ConntrackOptions {
        max_per_core: count("maxPerCore", conntrack.max_per_core, CONNTRACK_PER_CORE)?,
        min: count("min", conntrack.min, CONNTRACK_MIN)?,
        cpus: std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        tcp_established: period(conntrack.tcp_established_timeout, CONNTRACK_ESTABLISHED),
        tcp_close_wait: period(conntrack.tcp_close_wait_timeout, CONNTRACK_CLOSE_WAIT),
        tcp_be_liberal: conntrack.tcp_be_liberal.unwrap_or(false),
        udp: period(conntrack.udp_timeout, Duration::ZERO),
        udp_stream: period(conntrack.udp_stream_timeout, Duration::ZERO),
    })
}
