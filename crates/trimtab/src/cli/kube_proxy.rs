//! kube-proxy's command line, so that a DaemonSet need only change its image and command.
//!
//! kube-proxy silently ignores most of its flags once `--config` is given. Here, flags always
//! override the file.

mod without_effect;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use trimtab_config::{ConfigFile, Period};
use trimtab_core::duration::parse_duration;

use without_effect::WithoutEffect;

/// kube-proxy's flags.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "kube-proxy's flags")]
pub struct KubeProxyFlags {
    /// The proxy mode; Trimtab only has ipvs.
    #[arg(long, value_name = "MODE")]
    proxy_mode: Option<String>,
    /// The name of this node's Node object. Default: the host's name.
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// The kubeconfig file with the API server's address and credentials. Default: the pod's service account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Address of the API server; overrides the one in the kubeconfig file.
    #[arg(long, value_name = "URL")]
    pub(super) master: Option<String>,
    /// Verbosity of the log: 0 for events, 2 for details, 5 for everything.
    #[arg(long = "v", short = 'v', value_name = "LEVEL")]
    verbosity: Option<u8>,

    /// The scheduler of Services without an annotation for it: rr, wrr, lc, wlc, mh or any other that the
    /// kernel has.
    #[arg(long, value_name = "NAME")]
    ipvs_scheduler: Option<String>,
    /// How often the kernel is compared with what it should hold.
    #[arg(long, value_name = "TIME", value_parser = period)]
    ipvs_sync_period: Option<Period>,
    /// The shortest time between two rounds of changes.
    #[arg(long, value_name = "TIME", value_parser = period)]
    ipvs_min_sync_period: Option<Period>,
    /// Never delete virtual servers in these networks.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    ipvs_exclude_cidrs: Option<Vec<String>>,
    /// Answer ARP requests only for addresses of the interface that receives them.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ipvs_strict_arp: Option<bool>,
    /// The IPVS timeout of idle TCP connections; 0 keeps the kernel's.
    #[arg(long, value_name = "TIME", value_parser = period)]
    ipvs_tcp_timeout: Option<Period>,
    /// The IPVS timeout of TCP connections after a FIN; 0 keeps the kernel's.
    #[arg(long, value_name = "TIME", value_parser = period)]
    ipvs_tcpfin_timeout: Option<Period>,
    /// The IPVS timeout of UDP flows; 0 keeps the kernel's.
    #[arg(long, value_name = "TIME", value_parser = period)]
    ipvs_udp_timeout: Option<Period>,

    /// The pod network, or one of each family separated by a comma.
    #[arg(long, value_name = "CIDR")]
    cluster_cidr: Option<String>,
    /// How traffic from local pods is recognised: ClusterCIDR, NodeCIDR, BridgeInterface or
    /// InterfaceNamePrefix.
    #[arg(long, value_name = "MODE")]
    detect_local_mode: Option<String>,
    /// The bridge that local pods are behind, for --detect-local-mode=BridgeInterface.
    #[arg(long, value_name = "NAME")]
    pod_bridge_interface: Option<String>,
    /// The prefix of the interface names of local pods, for --detect-local-mode=InterfaceNamePrefix.
    #[arg(long, value_name = "PREFIX")]
    pod_interface_name_prefix: Option<String>,
    /// The node's addresses that serve node ports: CIDRs separated by commas, or primary. Default:
    /// all of them.
    #[arg(long = "nodeport-addresses", value_name = "CIDR", value_delimiter = ',')]
    node_port_addresses: Option<Vec<String>>,
    /// Masquerade all traffic to cluster IPs.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    masquerade_all: Option<bool>,
    /// The bit of the packet mark that requests masquerading.
    #[arg(long, value_name = "BIT")]
    iptables_masquerade_bit: Option<i64>,

    /// The node's own address; overrides the Node object's address of the same family.
    #[arg(long, value_name = "ADDRESS")]
    bind_address: Option<String>,
    /// Address and port where /healthz, /livez and /readyz are served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    healthz_bind_address: Option<String>,
    /// Address and port where /metrics and /configz are served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_bind_address: Option<String>,
    /// Exit if the program cannot listen on one of these two addresses.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    bind_address_hard_fail: Option<bool>,
    /// Serve /debug/flags/v and /debug/threads at --metrics-bind-address.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    profiling: Option<bool>,
    /// Deprecated: the port of --healthz-bind-address; 0 switches it off.
    #[arg(long, value_name = "PORT")]
    healthz_port: Option<u16>,
    /// Deprecated: the port of --metrics-bind-address; 0 switches it off.
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// The oom_score_adj of this process, from -1000 to 1000: how likely the kernel is to kill it when memory
    /// is short.
    #[arg(long, value_name = "SCORE", allow_hyphen_values = true)]
    oom_score_adj: Option<i64>,

    /// Limit of tracked connections, per CPU; 0 keeps the kernel's limit.
    #[arg(long, value_name = "COUNT")]
    conntrack_max_per_core: Option<i64>,
    /// The minimum for the limit of tracked connections.
    #[arg(long, value_name = "COUNT")]
    conntrack_min: Option<i64>,
    /// How long an idle TCP connection is tracked; 0 keeps the kernel's timeout.
    #[arg(long, value_name = "TIME", value_parser = period)]
    conntrack_tcp_timeout_established: Option<Period>,
    /// How long a half-closed TCP connection is tracked; 0 keeps the kernel's timeout.
    #[arg(long, value_name = "TIME", value_parser = period)]
    conntrack_tcp_timeout_close_wait: Option<Period>,
    /// Treat TCP packets outside the window as valid.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    conntrack_tcp_be_liberal: Option<bool>,
    /// How long a UDP flow without an answer is tracked; 0 keeps the kernel's timeout.
    #[arg(long, value_name = "TIME", value_parser = period)]
    conntrack_udp_timeout: Option<Period>,
    /// How long a UDP flow with answers is tracked; 0 keeps the kernel's timeout.
    #[arg(long, value_name = "TIME", value_parser = period)]
    conntrack_udp_timeout_stream: Option<Period>,

    /// Only do what needs more than CAP_NET_ADMIN and CAP_NET_RAW (load kernel modules, set sysctls and
    /// timeouts), then exit.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) init_only: Option<bool>,
    /// Remove everything that Trimtab or kube-proxy programmed, and nothing else, then exit.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) cleanup: Option<bool>,
    /// Write the configuration that results from file and flags, with all defaults, to this file as YAML,
    /// then exit.
    #[arg(long, value_name = "FILE")]
    pub(super) write_config_to: Option<PathBuf>,

    #[command(flatten)]
    pub(super) without_effect: WithoutEffect,
}

/// Replaces or adds the port of an address; returns whether it could.
fn set_port(address: &mut Option<String>, default: &str, port: Option<u16>) -> bool {
    let Some(port) = port else { return false };
    let text = address.as_deref().filter(|text| !text.is_empty()).unwrap_or(default);
    let ip = text.parse::<std::net::SocketAddr>().map(|address| address.ip());
    let ip: Result<IpAddr, _> = ip.or_else(|_| text.parse());
    // An invalid address is refused later, with the field's name.
    if let Ok(ip) = ip {
        *address = Some(std::net::SocketAddr::new(ip, port).to_string());
    }
    ip.is_ok()
}

fn period(text: &str) -> Result<Period, String> {
    parse_duration(text).map(Period).map_err(|why| why.to_string())
}

/// Overrides a field of the file with the value of a flag, if the flag is given.
macro_rules! set {
    ($file:ident . $($field:ident).+, $path:literal, $flag:expr) => {
        if let Some(value) = &$flag {
            $file.$($field).+ = Some(value.clone());
            $file.set_by_flag($path);
        }
    };
}
pub(super) use set;

impl KubeProxyFlags {
    /// Overrides the file with every flag that is given.
    pub(super) fn apply(&self, file: &mut ConfigFile) {
        set!(file.mode, "mode", self.proxy_mode);
        set!(file.hostname_override, "hostnameOverride", self.hostname_override);
        let kubeconfig = self.kubeconfig.as_ref().map(|path| path.display().to_string());
        set!(file.client_connection.kubeconfig, "clientConnection.kubeconfig", kubeconfig);
        set!(file.logging.verbosity, "logging.verbosity", self.verbosity.map(i64::from));
        set!(file.ipvs.scheduler, "ipvs.scheduler", self.ipvs_scheduler);
        set!(file.ipvs.sync_period, "ipvs.syncPeriod", self.ipvs_sync_period);
        set!(file.ipvs.min_sync_period, "ipvs.minSyncPeriod", self.ipvs_min_sync_period);
        set!(file.ipvs.exclude_cidrs, "ipvs.excludeCIDRs", self.ipvs_exclude_cidrs);
        set!(file.ipvs.strict_arp, "ipvs.strictARP", self.ipvs_strict_arp);
        set!(file.ipvs.tcp_timeout, "ipvs.tcpTimeout", self.ipvs_tcp_timeout);
        set!(file.ipvs.tcp_fin_timeout, "ipvs.tcpFinTimeout", self.ipvs_tcpfin_timeout);
        set!(file.ipvs.udp_timeout, "ipvs.udpTimeout", self.ipvs_udp_timeout);
        set!(file.cluster_cidr, "clusterCIDR", self.cluster_cidr);
        set!(file.detect_local_mode, "detectLocalMode", self.detect_local_mode);
        let bridge = &self.pod_bridge_interface;
        set!(file.detect_local.bridge_interface, "detectLocal.bridgeInterface", *bridge);
        let prefix = &self.pod_interface_name_prefix;
        set!(file.detect_local.interface_name_prefix, "detectLocal.interfaceNamePrefix", *prefix);
        set!(file.node_port_addresses, "nodePortAddresses", self.node_port_addresses);
        set!(file.iptables.masquerade_all, "iptables.masqueradeAll", self.masquerade_all);
        set!(file.iptables.masquerade_bit, "iptables.masqueradeBit", self.iptables_masquerade_bit);
        set!(file.bind_address, "bindAddress", self.bind_address);
        set!(file.healthz_bind_address, "healthzBindAddress", self.healthz_bind_address);
        set!(file.metrics_bind_address, "metricsBindAddress", self.metrics_bind_address);
        set!(file.bind_address_hard_fail, "bindAddressHardFail", self.bind_address_hard_fail);
        set!(file.enable_profiling, "enableProfiling", self.profiling);
        if set_port(&mut file.healthz_bind_address, "0.0.0.0", self.healthz_port) {
            file.origin.set_by("healthzBindAddress", "healthz-port");
        }
        if set_port(&mut file.metrics_bind_address, "127.0.0.1", self.metrics_port) {
            file.origin.set_by("metricsBindAddress", "metrics-port");
        }
        set!(file.oom_score_adj, "oomScoreAdj", self.oom_score_adj);
        set!(file.conntrack.max_per_core, "conntrack.maxPerCore", self.conntrack_max_per_core);
        set!(file.conntrack.min, "conntrack.min", self.conntrack_min);
        set!(
            file.conntrack.tcp_established_timeout,
            "conntrack.tcpEstablishedTimeout",
            self.conntrack_tcp_timeout_established
        );
        set!(
            file.conntrack.tcp_close_wait_timeout,
            "conntrack.tcpCloseWaitTimeout",
            self.conntrack_tcp_timeout_close_wait
        );
        set!(
            file.conntrack.tcp_be_liberal,
            "conntrack.tcpBeLiberal",
            self.conntrack_tcp_be_liberal
        );
        set!(file.conntrack.udp_timeout, "conntrack.udpTimeout", self.conntrack_udp_timeout);
        set!(
            file.conntrack.udp_stream_timeout,
            "conntrack.udpStreamTimeout",
            self.conntrack_udp_timeout_stream
        );
    }
}
