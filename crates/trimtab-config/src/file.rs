//! `KubeProxyConfiguration`, kubeproxy.config.k8s.io/v1alpha1, with a section of our own.

use serde_json::Value;
use std::path::Path;

use crate::complaint::Origin;
use crate::key::{About, FilePatterns, FlushFrequency, Found, Gates, Key, Quantity, section};
use crate::lines::Lines;
use crate::{Error, Notes};

const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
const KIND: &str = "KubeProxyConfiguration";

section! {
    /// The configuration file. A field that is not set is `None`.
    ConfigFile {
        /// If set, must be `kubeproxy.config.k8s.io/v1alpha1`.
        "apiVersion" api_version: Option<String> = "kubeproxy.config.k8s.io/v1alpha1";
        /// If set, must be `KubeProxyConfiguration`.
        "kind" kind: Option<String> = "KubeProxyConfiguration";
        /// Must be `ipvs` or empty: Trimtab has no other mode.
        "mode" mode: Option<String> = "ipvs" <- "proxy-mode";
        /// The name of this node's Node object. It is converted to lower case.
        "hostnameOverride" hostname_override: Option<String> = "the host's name" <- "hostname-override";
        /// The node's own address; overrides the Node object's address of the same family. Nothing
        /// listens on it. `0.0.0.0` and `::` override nothing.
        "bindAddress" bind_address: Option<String> = "0.0.0.0" <- "bind-address";
        /// Address and port where `/healthz`, `/livez` and `/readyz` are served; without a port,
        /// 10256 is used; port 0 disables it. The default is `[::]:10256` if `bindAddress` is an
        /// IPv6 address.
        "healthzBindAddress" healthz_bind_address: Option<String> = "0.0.0.0:10256" <- "healthz-bind-address";
        /// Address and port where `/metrics`, `/configz` and other pages about the program are served; without a port, 10249 is
        /// used; port 0 disables it. The default is `[::1]:10249` if `bindAddress` is an IPv6
        /// address.
        "metricsBindAddress" metrics_bind_address: Option<String> = "127.0.0.1:10249" <- "metrics-bind-address";
        /// Exit if the program cannot listen on one of these two addresses. Otherwise it retries
        /// every five seconds.
        "bindAddressHardFail" bind_address_hard_fail: Option<bool> = "false" <- "bind-address-hard-fail";
        /// The pod network, or one of each family separated by a comma. Traffic to a cluster IP
        /// from other addresses is masqueraded. Used by `detectLocalMode: ClusterCIDR`.
        "clusterCIDR" cluster_cidr: Option<String> = "" <- "cluster-cidr";
        /// How traffic from local pods is recognised: `ClusterCIDR`, `NodeCIDR` (the Node's
        /// `spec.podCIDRs`), `BridgeInterface` or `InterfaceNamePrefix`.
        "detectLocalMode" detect_local_mode: Option<String> = "ClusterCIDR" <- "detect-local-mode";
        /// Parameters of `detectLocalMode`.
        "detectLocal" detect_local: DetectLocal;
        /// The node's addresses that serve node ports: CIDRs, or the word `primary` alone. Empty
        /// for all of them.
        "nodePortAddresses" node_port_addresses: Option<Vec<String>> = "" <- "nodeport-addresses";
        /// How the API server is reached.
        "clientConnection" client_connection: ClientConnection;
        /// Masquerading; the IPVS mode uses it, too.
        "iptables" iptables: Iptables;
        /// The IPVS mode itself.
        "ipvs" ipvs: Ipvs;
        /// Connection tracking.
        "conntrack" conntrack: Conntrack;
        /// Log lines.
        "logging" logging: Logging;
        /// The oom_score_adj of this process, from -1000 to 1000: how likely the kernel is to kill
        /// it when memory is short.
        "oomScoreAdj" oom_score_adj: Option<i64> = "-999" <- "oom-score-adj";
        /// How often all objects are resynced.
        "configSyncPeriod" config_sync_period: Option<super::Period> = "15m0s" <- "config-sync-period"
            ! "objects are compared by content, so no resync is needed";
        /// Whether `/debug/flags/v`, which sets the verbosity of the log, and `/debug/threads` are served at
        /// `metricsBindAddress`. There are no Go profiles.
        "enableProfiling" enable_profiling: Option<bool> = "false" <- "profiling";
        /// Alpha and beta features of kube-proxy.
        "featureGates" feature_gates: Option<Gates> = "" <- "feature-gates"
            ! "they control features of kube-proxy";
        /// Ports of kube-proxy's userspace mode.
        "portRange" port_range: Option<String> = ""
            ! "no mode of kube-proxy uses it any more";
        /// Shows metrics that a release of kube-proxy has hidden.
        "showHiddenMetricsForVersion" show_hidden_metrics_for_version: Option<String> = ""
            <- "show-hidden-metrics-for-version" ! "no metric is hidden";
        /// kube-proxy's nftables mode.
        "nftables" nftables: Nftables;
        /// kube-proxy's Windows mode.
        "winkernel" winkernel: Winkernel;
        /// Runs as a Windows service.
        "windowsRunAsService" windows_run_as_service: Option<bool> = "false"
            ! "it is for Windows";
        /// Timeout of kube-proxy's userspace mode.
        "udpIdleTimeout" udp_idle_timeout: Option<super::Period> = "250ms"
            ! "no mode of kube-proxy uses it any more";
        /// Control group of early releases of kube-proxy.
        "resourceContainer" resource_container: Option<String> = ""
            ! "kube-proxy has removed it";
        /// Keys that only Trimtab has. kube-proxy logs that it ignores this section.
        "trimtab" trimtab: Trimtab;
    }
    /// Where the values come from.
    origin: Origin;
}

section! {
    /// `detectLocal`.
    DetectLocal {
        /// The bridge that local pods are connected to; needed by `detectLocalMode:
        /// BridgeInterface`.
        "bridgeInterface" bridge_interface: Option<String> = "" <- "pod-bridge-interface";
        /// The prefix of the interface names of local pods; needed by `detectLocalMode:
        /// InterfaceNamePrefix`.
        "interfaceNamePrefix" interface_name_prefix: Option<String> = "" <- "pod-interface-name-prefix";
    }
}

section! {
    /// `clientConnection`.
    ClientConnection {
        /// Path of a kubeconfig file. Empty for the pod's service account.
        "kubeconfig" kubeconfig: Option<String> = "" <- "kubeconfig";
        /// What the client accepts.
        "acceptContentTypes" accept_content_types: Option<String> = ""
            ! "objects are read as JSON";
        /// What the client sends.
        "contentType" content_type: Option<String> = "application/vnd.kubernetes.protobuf"
            <- "kube-api-content-type" ! "objects are read as JSON";
        /// Requests a second.
        "qps" qps: Option<f64> = "5" <- "kube-api-qps"
            ! "Trimtab has only three watches, and a separate rate limit for Events";
        /// Requests at once.
        "burst" burst: Option<i64> = "10" <- "kube-api-burst"
            ! "Trimtab has only three watches, and a separate rate limit for Events";
    }
}

section! {
    /// `iptables`.
    Iptables {
        /// The bit of the packet mark that requests masquerading, from 0 to 31.
        "masqueradeBit" masquerade_bit: Option<i64> = "14" <- "iptables-masquerade-bit";
        /// Masquerade all traffic to cluster IPs.
        "masqueradeAll" masquerade_all: Option<bool> = "false" <- "masquerade-all";
        /// Node ports on loopback addresses.
        "localhostNodePorts" localhost_node_ports: Option<bool> = "true" <- "iptables-localhost-nodeports"
            ! "the IPVS mode never serves node ports on loopback addresses";
        /// Masquerades with the node's internal address.
        "snatNodeInternalIP" snat_node_internal_ip: Option<bool> = "false"
            ! "it is for kube-proxy's iptables mode";
        /// Time between two syncs.
        "syncPeriod" sync_period: Option<super::Period> = "30s" <- "iptables-sync-period"
            ! "ipvs.syncPeriod is used instead";
        /// Shortest time between two syncs.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "1s" <- "iptables-min-sync-period"
            ! "ipvs.minSyncPeriod is used instead";
    }
}

section! {
    /// `ipvs`.
    Ipvs {
        /// How often the kernel is compared with what it should hold. Zero in a file means the
        /// default.
        "syncPeriod" sync_period: Option<super::Period> = "30s" <- "ipvs-sync-period";
        /// The shortest time between two rounds of changes, at most `syncPeriod`.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "0s" <- "ipvs-min-sync-period";
        /// The scheduler of Services without an annotation for it: `rr`, `wrr`, `lc`, `wlc`, `mh`
        /// or any other that the kernel has.
        "scheduler" scheduler: Option<String> = "rr" <- "ipvs-scheduler";
        /// Virtual servers in these networks are never deleted.
        "excludeCIDRs" exclude_cidrs: Option<Vec<String>> = "" <- "ipvs-exclude-cidrs";
        /// Answer ARP requests only for addresses of the interface that receives them. MetalLB in
        /// layer 2 mode and kube-vip need it.
        "strictARP" strict_arp: Option<bool> = "false" <- "ipvs-strict-arp";
        /// The IPVS timeout of idle TCP connections. Zero keeps the kernel's.
        "tcpTimeout" tcp_timeout: Option<super::Period> = "0s" <- "ipvs-tcp-timeout";
        /// The IPVS timeout of TCP connections after a FIN. Zero keeps the kernel's.
        "tcpFinTimeout" tcp_fin_timeout: Option<super::Period> = "0s" <- "ipvs-tcpfin-timeout";
        /// The IPVS timeout of UDP flows. Zero keeps the kernel's.
        "udpTimeout" udp_timeout: Option<super::Period> = "0s" <- "ipvs-udp-timeout";
    }
}

section! {
    /// `conntrack`.
    Conntrack {
        /// Limit of tracked connections, per CPU. Zero keeps the kernel's limit.
        "maxPerCore" max_per_core: Option<i64> = "32768" <- "conntrack-max-per-core";
        /// The minimum for the limit of tracked connections, whatever the number of CPUs.
        "min" min: Option<i64> = "131072" <- "conntrack-min";
        /// How long an idle TCP connection is tracked. Zero keeps the kernel's timeout.
        "tcpEstablishedTimeout" tcp_established_timeout: Option<super::Period> = "24h0m0s"
            <- "conntrack-tcp-timeout-established";
        /// How long a half-closed TCP connection (CLOSE_WAIT) is tracked. Zero keeps the kernel's
        /// timeout.
        "tcpCloseWaitTimeout" tcp_close_wait_timeout: Option<super::Period> = "1h0m0s"
            <- "conntrack-tcp-timeout-close-wait";
        /// Treat TCP packets outside the window as valid.
        "tcpBeLiberal" tcp_be_liberal: Option<bool> = "false" <- "conntrack-tcp-be-liberal";
        /// How long a UDP flow without an answer is tracked. Zero keeps the kernel's timeout.
        "udpTimeout" udp_timeout: Option<super::Period> = "0s" <- "conntrack-udp-timeout";
        /// How long a UDP flow with answers is tracked. Zero keeps the kernel's timeout.
        "udpStreamTimeout" udp_stream_timeout: Option<super::Period> = "0s"
            <- "conntrack-udp-timeout-stream";
        /// Connections to track, whatever the number of CPUs.
        "max" max: Option<i64> = ""
            ! "kube-proxy has removed it; use maxPerCore and min";
    }
}

section! {
    /// `logging`.
    Logging {
        /// The format of log lines: `text` or `json`.
        "format" format: Option<String> = "text" <- "log-format";
        /// 0 for events, 2 for details, 5 for everything.
        "verbosity" verbosity: Option<i64> = "0" <- "v";
        /// Time between two writes of log lines.
        "flushFrequency" flush_frequency: Option<FlushFrequency> = "5s" <- "log-flush-frequency"
            ! "each line is written immediately";
        /// Verbosity by source file.
        "vmodule" vmodule: Option<FilePatterns> = "" <- "vmodule"
            ! "its patterns are names of Go files";
        /// Options of the formats.
        "options" options: LogOptions;
    }
}

section! {
    /// `logging.options`.
    LogOptions {
        /// Of the format `text`.
        "text" text: TextOptions;
        /// Of the format `json`.
        "json" json: JsonOptions;
    }
}

section! {
    /// `logging.options.text`.
    TextOptions {
        /// Errors to stderr, the rest to stdout.
        "splitStream" split_stream: Option<bool> = "false" <- "log-text-split-stream"
            ! "all lines go to stderr";
        /// Buffer for lines that are not errors.
        "infoBufferSize" info_buffer_size: Option<Quantity> = "0" <- "log-text-info-buffer-size"
            ! "each line is written immediately";
    }
}

section! {
    /// `logging.options.json`.
    JsonOptions {
        /// Errors to stderr, the rest to stdout.
        "splitStream" split_stream: Option<bool> = "false" <- "log-json-split-stream"
            ! "all lines go to stderr";
        /// Buffer for lines that are not errors.
        "infoBufferSize" info_buffer_size: Option<Quantity> = "0" <- "log-json-info-buffer-size"
            ! "each line is written immediately";
    }
}

section! {
    /// `nftables`.
    Nftables {
        /// As `iptables.masqueradeBit`.
        "masqueradeBit" masquerade_bit: Option<i64> = "14"
            ! "it is for kube-proxy's nftables mode; iptables.masqueradeBit is used instead";
        /// As `iptables.masqueradeAll`.
        "masqueradeAll" masquerade_all: Option<bool> = "false"
            ! "it is for kube-proxy's nftables mode; iptables.masqueradeAll is used instead";
        /// Time between two syncs.
        "syncPeriod" sync_period: Option<super::Period> = "30s"
            ! "ipvs.syncPeriod is used instead";
        /// Shortest time between two syncs.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "1s"
            ! "ipvs.minSyncPeriod is used instead";
    }
}

section! {
    /// `winkernel`.
    Winkernel {
        /// The HNS network.
        "networkName" network_name: Option<String> = "" ! "it is for Windows";
        /// Source address of load-balanced traffic.
        "sourceVip" source_vip: Option<String> = "" ! "it is for Windows";
        /// Direct server return.
        "enableDSR" enable_dsr: Option<bool> = "false" ! "it is for Windows";
        /// The HNS endpoint of the root network namespace.
        "rootHnsEndpointName" root_hns_endpoint_name: Option<String> = "" ! "it is for Windows";
        /// Forwards health checks to the VIP.
        "forwardHealthCheckVip" forward_health_check_vip: Option<bool> = "false"
            ! "it is for Windows";
    }
}

section! {
    /// `trimtab`: what kube-proxy does not have.
    Trimtab {
        /// How long a removed TCP endpoint may keep its open connections. `0s` closes them at once.
        "drainTimeout" drain_timeout: Option<super::Period> = "15m0s";
        /// Whether the annotation `trimtab.dev/weight` of Nodes is used. If so, every node watches
        /// all Nodes.
        "nodeWeights" node_weights: Option<bool> = "false";
        /// Which external and load-balancer IPs are served.
        "externalIPs" external_ips: ExternalIps;
        /// How a VIP is bound to the node: `address` adds each VIP to the interface `kube-ipvs0`,
        /// as kube-proxy does; `route` adds a route of type `local` for it.
        "vipBinding" vip_binding: Option<String> = "address";
        /// The bits of the packet mark that Trimtab uses, as a hexadecimal number. Such marks
        /// identify traffic from clients inside the cluster to Services with traffic policy Local.
        /// Trimtab needs two of the bits for itself; with the other n bits, a node can serve 2 to
        /// the power of n ports of such Services in each family.
        "markBits" mark_bits: Option<String> = "0x30ff";
        /// The size of IPVS's connection table, as log2 of its buckets, 8 to 27. Used if Trimtab
        /// loads the module ip_vs. Without it, the size fits the limit of tracked connections.
        "connectionTableBits" connection_table_bits: Option<i64> = "";
        /// How IPVS measures rates.
        "estimation" estimation: Estimation;
        /// The traffic of Services in `/metrics`.
        "traffic" traffic: Traffic;
        /// Where sysctls are read and written. In a container: the path where the host's /proc/sys
        /// is mounted, because the container's own is read-only and nothing can be mounted inside
        /// it.
        "sysctlPath" sysctl_path: Option<String> = "/proc/sys" <- "sysctl-path";
        /// The kind of iptables that writes the rules: `nft`, `legacy`, or `auto` for the one that
        /// has the kubelet's chains, else the one with more rules, else nft.
        "iptablesBackend" iptables_backend: Option<String> = "auto" <- "iptables-backend";
        /// Whether to remove the taint `trimtab.dev/not-ready` from this node's Node object whenever
        /// `/readyz` answers 200. A node that is registered with it gets no pods before its Services
        /// work. Trimtab's account then needs the right to `patch` Nodes.
        "startupTaint" startup_taint: Option<bool> = "false";
        /// Where the admin socket is, which `trimtab status` and other commands ask; only root can use
        /// it. `""` for none.
        "adminSocket" admin_socket: Option<String> = "/run/trimtab/trimtab.sock" <- "admin-socket";
    }
}

section! {
    /// `trimtab.externalIPs`: which addresses of `spec.externalIPs` and `status.loadBalancer` are
    /// served. Protects against Services that intercept traffic to addresses of others
    /// (CVE-2020-8554).
    ExternalIps {
        /// Only external and load-balancer IPs in these networks are served. Empty: any address. If
        /// all networks are of one family, no address of the other family is served.
        "allowedCIDRs" allowed_cidrs: Option<Vec<String>> = "";
        /// External and load-balancer IPs in these networks are never served: the networks of pods,
        /// Services and nodes, for example.
        "deniedCIDRs" denied_cidrs: Option<Vec<String>> = "";
        /// Whether an external or load-balancer IP is served if it is an address of one of the
        /// node's own interfaces. k3s' ServiceLB needs it.
        "allowNodeAddresses" allow_node_addresses: Option<bool> = "true";
    }
}

section! {
    /// `trimtab.estimation`: keys that are not set leave the kernel's settings unchanged.
    Estimation {
        /// Whether IPVS measures rates at all. Without it, the kernel's setting stays.
        "enabled" enabled: Option<bool> = "";
        /// The niceness of the kernel threads that measure rates, -20 to 19. Without it, the
        /// kernel's setting stays.
        "nice" nice: Option<i64> = "";
        /// The CPUs that these threads may run on, such as `0-3,8`. Without it, the kernel's
        /// setting stays.
        "cpus" cpus: Option<String> = "";
    }
}

section! {
    /// `trimtab.traffic`: the traffic of Services in `/metrics`, as IPVS counts it.
    Traffic {
        /// Whether IPVS's counters are read. Without them no Service's traffic is shown, whatever its
        /// annotation says.
        "enabled" enabled: Option<bool> = "true";
        /// The shortest time between two readings, at least `2s`. Reading takes at most one percent
        /// of a processor: if that is not enough, the interval is longer.
        "interval" interval: Option<super::Period> = "30s";
        /// How many Service ports of this node are shown for having the most traffic.
        "top" top: Option<i64> = "10";
        /// The namespaces whose Services are all shown; `*` is every namespace. The annotation
        /// `trimtab.dev/traffic-metrics` shows or hides a single Service.
        "namespaces" namespaces: Option<Vec<String>> = "";
        /// Whether each Service that is shown is also shown by endpoint.
        "endpoints" endpoints: Option<bool> = "false";
        /// The maximum number of Service ports that a node shows: seven series each.
        "maxServicePorts" max_service_ports: Option<i64> = "500";
        /// The maximum number of endpoints that a node shows: seven series each.
        "maxEndpoints" max_endpoints: Option<i64> = "1000";
    }
}

/// Reads a configuration file's text, YAML or JSON. [`super::resolve`] reports errors in single
/// fields, together with fields that contradict each other.
///
/// # Errors
/// [`Error::Syntax`] if it does not parse, or is of another kind. An unknown field is only noted,
/// as in kube-proxy.
pub fn parse(path: &Path, text: &str) -> Result<(ConfigFile, Notes), Error> {
    let syntax = |message: String| Error::Syntax { path: path.to_owned(), message };
    let value: Option<Value> =
        serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?;
    let (file, lines) = (Some(path.to_owned()), Lines::of(text));
    let origin = Origin { file, lines, ..Origin::default() };
    let mut found = Found { origin, ..Found::default() };
    let mut file = ConfigFile::read(&value.unwrap_or_default(), &About::default(), &mut found);
    file.origin = found.origin;
    if let Some(kind) = file.kind.as_deref().filter(|kind| ![KIND, ""].contains(kind)) {
        return Err(syntax(format!("kind: expected {KIND}, found {kind:?}")));
    }
    let version = file.api_version.as_deref();
    if let Some(version) = version.filter(|version| ![API_VERSION, ""].contains(version)) {
        return Err(syntax(format!("apiVersion: expected {API_VERSION}, found {version:?}")));
    }
    Ok((file, found.notes))
}
