//! From file and flags to consistent settings.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use trimtab_core::{MarkRange, Scheduler};
use trimtab_host::rules::{Backend, DetectLocal, RuleSettings, reserved_bits};
use trimtab_host::sysctl::{ConntrackOptions, EstimationOptions};
use trimtab_host::{VipBinding, cpu_list};
use trimtab_reconcile::{ExternalIpPolicy, NodePortAddresses};

use crate::LogFormat;
use crate::admin_socket::admin_socket;
use crate::complaint::{Complaint, Complaints, Origin, Wrong};
use crate::file::ConfigFile;
use crate::kernel::{
    connection_table_bits, estimation, iptables_backend, sysctl_path, vip_binding,
};
use crate::networks::{network_pair, networks};
use crate::period::Period;
use crate::traffic::{TrafficOptions, traffic};
use crate::{Error, Notes};
use trimtab_core::duration::format_duration;

/// kube-proxy's defaults.
const SYNC_PERIOD: Duration = Duration::from_secs(30);
const HEALTH_PORT: u16 = 10256;
const METRICS_PORT: u16 = 10249;
const MASQUERADE_BIT: u8 = 14;
const OOM_SCORE_ADJ: i32 = -999;
const CONNTRACK_PER_CORE: u32 = 32_768;
const CONNTRACK_MIN: u32 = 131_072;
const CONNTRACK_ESTABLISHED: Duration = Duration::from_secs(24 * 60 * 60);
const CONNTRACK_CLOSE_WAIT: Duration = Duration::from_secs(60 * 60);
/// Ours.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Inputs outside the file that decide the node's name.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The name of the node, which overrides the file's.
    pub hostname: Option<String>,
    /// The host's own name, used if nothing else is given.
    pub host: String,
}

/// The configuration as the program uses it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// Kubeconfig; `None` for the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Where /healthz is served; `None` for nowhere.
    pub health_address: Option<SocketAddr>,
    /// Where /metrics is served; `None` for nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Whether to exit if the program cannot listen on one of these addresses.
    pub bind_address_hard_fail: bool,
    /// Overrides the node's own address of the same family.
    pub bind_address: Option<IpAddr>,
    /// Time between two comparisons with the kernel.
    pub sync_period: Duration,
    /// Shortest time between two rounds of changes.
    pub min_sync_period: Duration,
    /// Scheduler of Services without an annotation for it.
    pub scheduler: Scheduler,
    /// Virtual servers in these networks are never deleted.
    pub exclude: Vec<IpNet>,
    /// Which external and load-balancer IPs are served.
    pub external_ips: ExternalIpPolicy,
    /// Whether to answer ARP only for addresses of the interface that receives the request.
    pub strict_arp: bool,
    /// IPVS timeouts: TCP, TCP after FIN, UDP; zero keeps the kernel's.
    pub timeouts: [Duration; 3],
    /// Which node addresses serve node ports.
    pub node_port_addresses: NodePortAddresses,
    /// The packet-filter rules.
    pub rules: RuleSettings,
    /// How long a draining real server may keep its connections.
    pub drain_timeout: Duration,
    /// How VIPs are bound to the node.
    pub vip_binding: VipBinding,
    /// log2 of the buckets of IPVS's connection table; `None` for a size that fits the node.
    pub connection_table_bits: Option<u8>,
    /// How IPVS measures rates.
    pub estimation: EstimationOptions,
    /// The kind of iptables; `None` for the one that the node already uses.
    pub iptables_backend: Option<Backend>,
    /// Where sysctls are read and written.
    pub sysctl_path: PathBuf,
    /// Whether the weight annotation of Nodes is used.
    pub node_weights: bool,
    /// Where the admin socket is; `None` for nowhere.
    pub admin_socket: Option<PathBuf>,
    /// Whether to remove the startup taint of this node once it is ready.
    pub startup_taint: bool,
    /// Which traffic of Services is shown in the metrics.
    pub traffic: TrafficOptions,
    /// Connection tracking.
    pub conntrack: ConntrackOptions,
    /// Whether `/debug` is served.
    pub profiling: bool,
    /// Verbosity of the log.
    pub verbosity: u8,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The oom_score_adj of this process.
    pub oom_score_adj: i32,
}

/// Collects all errors, so that they are reported at once.
struct Checks<'a> {
    origin: &'a Origin,
    complaints: Vec<Complaint>,
}

impl Checks<'_> {
    /// The value; or, after recording a complaint, a placeholder to continue with.
    fn take<T>(&mut self, value: Result<T, Wrong>, otherwise: T) -> T {
        value.unwrap_or_else(|wrong| {
            self.complaints.push(self.origin.complaint(wrong));
            otherwise
        })
    }

    fn refuse(&mut self, field: &str, message: &str) {
        self.take(Err(Wrong::new(field, message)), ());
    }
}

/// Merges the configuration, with kube-proxy's defaults for fields that are not set.
///
/// # Errors
/// [`Error::Values`] with every field and flag whose value cannot be used.
pub fn resolve(file: &ConfigFile, overrides: &Overrides) -> Result<(Config, Notes), Error> {
    let origin = &file.origin;
    let mut checks = Checks { origin, complaints: origin.complaints.clone() };
    let mut notes = Notes::new();
    checks.take(check_mode(file, &mut notes), ());
    let node_name = node_name(file, overrides);
    if node_name.is_empty() {
        checks.refuse("hostnameOverride", "this host has no name; set the node's name here");
    }
    let bind_address = checks.take(bind_address(file), None);
    let six = bind_address.is_some_and(|address| address.is_ipv6());
    let sync_period = match period(file.ipvs.sync_period, Duration::ZERO) {
        // Like kube-proxy, takes zero in a file for the default, and refuses it as a flag.
        zero if zero.is_zero() => {
            if origin.is_by_flag("ipvs.syncPeriod") {
                checks.refuse("ipvs.syncPeriod", "must be greater than 0");
            }
            SYNC_PERIOD
        }
        given => given,
    };
    let min_sync_period = period(file.ipvs.min_sync_period, Duration::ZERO);
    if min_sync_period > sync_period {
        let most = format_duration(sync_period);
        checks.refuse("ipvs.minSyncPeriod", &format!("must not exceed ipvs.syncPeriod, {most}"));
    }
    let health_address = listen_address(
        "healthzBindAddress",
        file.healthz_bind_address.as_deref(),
        unspecified(six),
        HEALTH_PORT,
    );
    let metrics_address = listen_address(
        "metricsBindAddress",
        file.metrics_bind_address.as_deref(),
        loopback(six),
        METRICS_PORT,
    );
    let excluded = networks("ipvs.excludeCIDRs", strs(file.ipvs.exclude_cidrs.as_deref()));
    let kubeconfig = file.client_connection.kubeconfig.as_deref().filter(|path| !path.is_empty());
    let config = Config {
        node_name,
        kubeconfig: kubeconfig.map(PathBuf::from),
        health_address: checks.take(health_address, None),
        metrics_address: checks.take(metrics_address, None),
        bind_address_hard_fail: file.bind_address_hard_fail.unwrap_or(false),
        bind_address: bind_address.filter(|address| !address.is_unspecified()),
        sync_period,
        min_sync_period,
        scheduler: checks.take(scheduler(file.ipvs.scheduler.as_deref()), Scheduler::RoundRobin),
        exclude: checks.take(excluded, Vec::new()),
        external_ips: external_ips(file, &mut checks),
        strict_arp: file.ipvs.strict_arp.unwrap_or(false),
        timeouts: [file.ipvs.tcp_timeout, file.ipvs.tcp_fin_timeout, file.ipvs.udp_timeout]
            .map(|timeout| period(timeout, Duration::ZERO)),
        node_port_addresses: checks.take(node_port_addresses(file), NodePortAddresses::All),
        rules: rules(file, &mut checks, &mut notes),
        drain_timeout: period(file.trimtab.drain_timeout, DRAIN_TIMEOUT),
        vip_binding: checks.take(vip_binding(file), VipBinding::default()),
        connection_table_bits: checks.take(connection_table_bits(file), None),
        estimation: checks.take(estimation(file), EstimationOptions::default()),
        iptables_backend: checks.take(iptables_backend(file), None),
        sysctl_path: sysctl_path(file),
        admin_socket: checks.take(admin_socket(file), None),
        startup_taint: file.trimtab.startup_taint.unwrap_or(false),
        node_weights: file.trimtab.node_weights.unwrap_or(false),
        traffic: checks.take(traffic(file), TrafficOptions::default()),
        conntrack: conntrack(file, &mut checks),
        profiling: file.enable_profiling.unwrap_or(false),
        verbosity: checks.take(verbosity(file), 0),
        log_format: checks.take(log_format(file), LogFormat::Text),
        oom_score_adj: checks.take(oom_score_adj(file), OOM_SCORE_ADJ),
    };
    if checks.complaints.is_empty() {
        Ok((config, notes))
    } else {
        Err(Error::Values(Complaints(checks.complaints)))
    }
}

fn node_name(file: &ConfigFile, overrides: &Overrides) -> String {
    let given = overrides.hostname.as_deref().or(file.hostname_override.as_deref());
    let given = given.map(str::trim).filter(|name| !name.is_empty());
    given.unwrap_or(overrides.host.trim()).to_lowercase()
}

fn oom_score_adj(file: &ConfigFile) -> Result<i32, Wrong> {
    let score = file.oom_score_adj.unwrap_or(OOM_SCORE_ADJ.into());
    i32::try_from(score)
        .ok()
        .filter(|score| (-1000..=1000).contains(score))
        .ok_or_else(|| Wrong::new("oomScoreAdj", format!("{score} is not between -1000 and 1000")))
}

fn verbosity(file: &ConfigFile) -> Result<u8, Wrong> {
    let level = file.logging.verbosity.unwrap_or(0);
    if level < 0 {
        return Err(Wrong::new("logging.verbosity", format!("{level} is less than 0")));
    }
    Ok(u8::try_from(level).unwrap_or(u8::MAX))
}

fn log_format(file: &ConfigFile) -> Result<LogFormat, Wrong> {
    match file.logging.format.as_deref() {
        None | Some("" | "text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(Wrong::new(
            "logging.format",
            format!("unknown format {other:?}: expected text or json"),
        )),
    }
}

fn check_mode(file: &ConfigFile, notes: &mut Notes) -> Result<(), Wrong> {
    let wrong = |message| Err(Wrong::new("mode", message));
    match file.mode.as_deref().unwrap_or_default() {
        "ipvs" => Ok(()),
        "" => {
            let place = file.origin.place("mode");
            notes.push(format!("{place} is not set: using ipvs, the only mode of Trimtab"));
            Ok(())
        }
        mode @ ("iptables" | "nftables" | "kernelspace" | "userspace") => wrong(format!(
            "{mode:?} is a mode of kube-proxy: Trimtab only programs IPVS. Set it to \"ipvs\", or \
             run kube-proxy on this node for {mode}"
        )),
        other => wrong(format!("unknown mode {other:?}; the only one is ipvs")),
    }
}

fn period(given: Option<Period>, default: Duration) -> Duration {
    given.map_or(default, |Period(period)| period)
}

fn strs(texts: Option<&[String]>) -> impl Iterator<Item = &str> {
    texts.unwrap_or_default().iter().map(String::as_str)
}

fn bind_address(file: &ConfigFile) -> Result<Option<IpAddr>, Wrong> {
    let Some(text) = file.bind_address.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let address = text.parse();
    address
        .map(Some)
        .map_err(|_| Wrong::new("bindAddress", format!("{text:?} is not an IP address")))
}

fn unspecified(six: bool) -> IpAddr {
    if six { [0u16; 8].into() } else { [0u8; 4].into() }
}

fn loopback(six: bool) -> IpAddr {
    if six { std::net::Ipv6Addr::LOCALHOST.into() } else { std::net::Ipv4Addr::LOCALHOST.into() }
}

/// An address with or without a port; empty for the default, port 0 to disable it.
fn listen_address(
    field: &str,
    text: Option<&str>,
    default: IpAddr,
    port: u16,
) -> Result<Option<SocketAddr>, Wrong> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(Some(SocketAddr::new(default, port)));
    };
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, port)))
        .map_err(|_| {
            Wrong::new(field, format!("{text:?} is not an address such as 0.0.0.0:{port}"))
        })?;
    Ok((address.port() != 0).then_some(address))
}

fn scheduler(name: Option<&str>) -> Result<Scheduler, Wrong> {
    match name.filter(|name| !name.is_empty()) {
        None => Ok(Scheduler::RoundRobin),
        Some(name) => name.parse().map_err(|why| Wrong::new("ipvs.scheduler", format!("{why}"))),
    }
}

fn node_port_addresses(file: &ConfigFile) -> Result<NodePortAddresses, Wrong> {
    let list: Vec<&str> = strs(file.node_port_addresses.as_deref()).collect();
    if list.is_empty() {
        return Ok(NodePortAddresses::All);
    }
    if list == ["primary"] {
        return Ok(NodePortAddresses::Primary);
    }
    if list.contains(&"primary") {
        let message = "primary cannot be combined with CIDRs";
        return Err(Wrong::new("nodePortAddresses", message));
    }
    networks("nodePortAddresses", list).map(NodePortAddresses::Networks)
}

fn external_ips(file: &ConfigFile, checks: &mut Checks<'_>) -> ExternalIpPolicy {
    let given = &file.trimtab.external_ips;
    let mut list = |field: &str, texts: Option<&[String]>| {
        let found = networks(&format!("trimtab.externalIPs.{field}"), strs(texts));
        checks.take(found, Vec::new())
    };
    ExternalIpPolicy {
        allowed: list("allowedCIDRs", given.allowed_cidrs.as_deref()),
        denied: list("deniedCIDRs", given.denied_cidrs.as_deref()),
        node_addresses: given.allow_node_addresses.unwrap_or(true),
    }
}

fn rules(file: &ConfigFile, checks: &mut Checks<'_>, notes: &mut Notes) -> RuleSettings {
    RuleSettings {
        detect: checks.take(detect(file, notes), DetectLocal::NodeNetworks),
        masquerade_bit: checks.take(masquerade_bit(file), MASQUERADE_BIT),
        masquerade_all: file.iptables.masquerade_all.unwrap_or(false),
        marks: checks.take(marks(file), MarkRange::DEFAULT),
    }
}

/// The default avoids the masquerade bits; a configured value must do so, too.
fn marks(file: &ConfigFile) -> Result<MarkRange, Wrong> {
    let reserved = reserved_bits(masquerade_bit(file).unwrap_or(MASQUERADE_BIT));
    let Some(given) = file.trimtab.mark_bits.as_deref().filter(|given| !given.is_empty()) else {
        return Ok(MarkRange::DEFAULT.without(reserved).unwrap_or_default());
    };
    let wrong = |message: String| Wrong::new("trimtab.markBits", message);
    // YAML reads an unquoted hexadecimal number as a number, so the text here may be decimal.
    let bits = match given.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => given.parse(),
    };
    let range = bits.ok().and_then(MarkRange::of_bits).ok_or_else(|| {
        wrong(format!(
            "{given:?} is not a 32-bit number with at least three bits set, such as \
            0x30ff"
        ))
    })?;
    let taken = range.bits() & reserved;
    if taken == 0 {
        return Ok(range);
    }
    Err(wrong(format!("{given} contains {taken:#x}, which is used for masquerading or dropping")))
}

fn detect(file: &ConfigFile, notes: &mut Notes) -> Result<DetectLocal, Wrong> {
    let needed = |field: &str, value: &Option<String>| {
        value.clone().filter(|value| !value.is_empty()).ok_or_else(|| {
            Wrong::new(format!("detectLocal.{field}"), "needed by this detectLocalMode")
        })
    };
    match file.detect_local_mode.as_deref().unwrap_or_default() {
        "" | "ClusterCIDR" => {
            let text = file.cluster_cidr.as_deref().unwrap_or_default();
            let networks = network_pair("clusterCIDR", text)?;
            if networks.is_empty() {
                notes.push(format!(
                    "{} is not set: only traffic from the node itself to a cluster IP is \
                     masqueraded",
                    file.origin.place("clusterCIDR")
                ));
            }
            Ok(DetectLocal::Networks(networks))
        }
        "NodeCIDR" => Ok(DetectLocal::NodeNetworks),
        "BridgeInterface" => {
            needed("bridgeInterface", &file.detect_local.bridge_interface).map(DetectLocal::Bridge)
        }
        "InterfaceNamePrefix" => {
            needed("interfaceNamePrefix", &file.detect_local.interface_name_prefix)
                .map(DetectLocal::InterfacePrefix)
        }
        other => Err(Wrong::new(
            "detectLocalMode",
            format!(
                "unknown mode {other:?}: expected ClusterCIDR, NodeCIDR, BridgeInterface or \
                 InterfaceNamePrefix"
            ),
        )),
    }
}

fn masquerade_bit(file: &ConfigFile) -> Result<u8, Wrong> {
    match file.iptables.masquerade_bit {
        None => Ok(MASQUERADE_BIT),
        Some(bit) => u8::try_from(bit).ok().filter(|bit| *bit < 32).ok_or_else(|| {
            Wrong::new("iptables.masqueradeBit", format!("{bit} is not between 0 and 31"))
        }),
    }
}

fn conntrack(file: &ConfigFile, checks: &mut Checks<'_>) -> ConntrackOptions {
    let mut count = |field: &str, given: Option<i64>, default: u32| {
        let value = given.map_or(Ok(default), |given| {
            // int32 in kube-proxy.
            u32::try_from(given).ok().filter(|count| i32::try_from(*count).is_ok()).ok_or_else(
                || {
                    let message = format!("{given} is not between 0 and {}", i32::MAX);
                    Wrong::new(format!("conntrack.{field}"), message)
                },
            )
        });
        checks.take(value, default)
    };
    let conntrack = &file.conntrack;
    ConntrackOptions {
        max_per_core: count("maxPerCore", conntrack.max_per_core, CONNTRACK_PER_CORE),
        min: count("min", conntrack.min, CONNTRACK_MIN),
        cpus: cpu_list::online(Path::new("/sys")),
        tcp_established: period(conntrack.tcp_established_timeout, CONNTRACK_ESTABLISHED),
        tcp_close_wait: period(conntrack.tcp_close_wait_timeout, CONNTRACK_CLOSE_WAIT),
        tcp_be_liberal: conntrack.tcp_be_liberal.unwrap_or(false),
        udp: period(conntrack.udp_timeout, Duration::ZERO),
        udp_stream: period(conntrack.udp_stream_timeout, Duration::ZERO),
    }
}
