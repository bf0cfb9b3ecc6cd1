//! `KubeProxyConfiguration`, kubeproxy.config.k8s.io/v1alpha1, with a section of our own.

use serde_json::Value;
use std::path::Path;

use crate::complaint::Origin;
use crate::key::{About, FilePatterns, FlushFrequency, Found, Gates, Key, Quantity, section};
use crate::{Error, Notes};

const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
const KIND: &str = "KubeProxyConfiguration";

section! {
    /// The configuration file. A field that is not given is `None`.
    ConfigFile {
        /// Must be `kubeproxy.config.k8s.io/v1alpha1` where it is given.
        "apiVersion" api_version: Option<String> = "kubeproxy.config.k8s.io/v1alpha1";
        /// Must be `KubeProxyConfiguration` where it is given.
        "kind" kind: Option<String> = "KubeProxyConfiguration";
        /// Must be `ipvs` or empty: Trimtab has no other mode.
        "mode" mode: Option<String> = "ipvs" <- "proxy-mode";
        /// The name of this node's Node object. Upper case becomes lower case.
        "hostnameOverride" hostname_override: Option<String> = "the host's name" <- "hostname-override";
        /// An address of the node, which replaces the one of its family that the Node object
        /// states. Nothing listens on it. `0.0.0.0` and `::` replace nothing.
        "bindAddress" bind_address: Option<String> = "0.0.0.0" <- "bind-address";
        /// Address and port where `/healthz`, `/livez` and `/readyz` are served; an address alone
        /// gets port 10256, and port 0 switches it off. The default is `[::]:10256` where
        /// `bindAddress` is an IPv6 address.
        "healthzBindAddress" healthz_bind_address: Option<String> = "0.0.0.0:10256" <- "healthz-bind-address";
        /// Address and port where `/metrics` and `/configz` are served; an address alone gets port
        /// 10249, and port 0 switches it off. The default is `[::1]:10249` where `bindAddress` is
        /// an IPv6 address.
        "metricsBindAddress" metrics_bind_address: Option<String> = "127.0.0.1:10249" <- "metrics-bind-address";
        /// Exit when one of these two addresses cannot be listened on. Otherwise it is tried again
        /// every five seconds.
        "bindAddressHardFail" bind_address_hard_fail: Option<bool> = "false" <- "bind-address-hard-fail";
        /// The pods' network, or one of each family separated by a comma. Traffic to a cluster IP
        /// from elsewhere is masqueraded. Used by `detectLocalMode: ClusterCIDR`.
        "clusterCIDR" cluster_cidr: Option<String> = "" <- "cluster-cidr";
        /// How traffic from local pods is recognised: `ClusterCIDR`, `NodeCIDR` (the Node's
        /// `spec.podCIDRs`), `BridgeInterface` or `InterfaceNamePrefix`.
        "detectLocalMode" detect_local_mode: Option<String> = "ClusterCIDR" <- "detect-local-mode";
        /// What the mode of local detection needs.
        "detectLocal" detect_local: DetectLocal;
        /// The node's addresses that serve node ports: CIDRs, or the word `primary` alone. Empty for
        /// all of them.
        "nodePortAddresses" node_port_addresses: Option<Vec<String>> = "" <- "nodeport-addresses";
        /// How the API server is reached.
        "clientConnection" client_connection: ClientConnection;
        /// Masquerading, which the IPVS mode takes from here.
        "iptables" iptables: Iptables;
        /// The IPVS mode itself.
        "ipvs" ipvs: Ipvs;
        /// Connection tracking.
        "conntrack" conntrack: Conntrack;
        /// Log lines.
        "logging" logging: Logging;
        /// How readily the kernel ends this process when memory is short, from -1000 to 1000.
        "oomScoreAdj" oom_score_adj: Option<i64> = "-999" <- "oom-score-adj";
        /// How often all objects are handed over again.
        "configSyncPeriod" config_sync_period: Option<super::Period> = "15m0s" <- "config-sync-period"
            ! "objects are compared by content, so nothing needs to be repeated";
        /// Go profiles.
        "enableProfiling" enable_profiling: Option<bool> = "false" <- "profiling"
            ! "there is no Go runtime to profile";
        /// Alpha and beta features of kube-proxy.
        "featureGates" feature_gates: Option<Gates> = "" <- "feature-gates"
            ! "they switch parts of kube-proxy";
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
            ! "kube-proxy does not have it any more";
        /// What only Trimtab has. kube-proxy notes this section in its log and goes on.
        "trimtab" trimtab: Trimtab;
    }
    /// Where the values come from.
    origin: Origin;
}

section! {
    /// `detectLocal`.
    DetectLocal {
        /// The bridge that local pods are behind; needed by `detectLocalMode: BridgeInterface`.
        "bridgeInterface" bridge_interface: Option<String> = "" <- "pod-bridge-interface";
        /// How the names of local pods' interfaces begin; needed by `detectLocalMode:
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
            ! "there are three watches, and rare Events that have a limit of their own";
        /// Requests at once.
        "burst" burst: Option<i64> = "10" <- "kube-api-burst"
            ! "there are three watches, and rare Events that have a limit of their own";
    }
}

section! {
    /// `iptables`.
    Iptables {
        /// The bit of the packet mark that asks for masquerading, from 0 to 31.
        "masqueradeBit" masquerade_bit: Option<i64> = "14" <- "iptables-masquerade-bit";
        /// Masquerade everything that goes to a cluster IP.
        "masqueradeAll" masquerade_all: Option<bool> = "false" <- "masquerade-all";
        /// Node ports on loopback addresses.
        "localhostNodePorts" localhost_node_ports: Option<bool> = "true" <- "iptables-localhost-nodeports"
            ! "the IPVS mode never serves node ports on loopback addresses";
        /// Masquerades with the node's internal address.
        "snatNodeInternalIP" snat_node_internal_ip: Option<bool> = "false"
            ! "it is for kube-proxy's iptables mode";
        /// Time between two syncs.
        "syncPeriod" sync_period: Option<super::Period> = "30s" <- "iptables-sync-period"
            ! "ipvs.syncPeriod is the one that counts";
        /// Shortest time between two syncs.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "1s" <- "iptables-min-sync-period"
            ! "ipvs.minSyncPeriod is the one that counts";
    }
}

section! {
    /// `ipvs`.
    Ipvs {
        /// How often the kernel is compared with what it should hold. Zero in a file stands for
        /// the default.
        "syncPeriod" sync_period: Option<super::Period> = "30s" <- "ipvs-sync-period";
        /// The shortest time between two rounds of changes, at most `syncPeriod`.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "0s" <- "ipvs-min-sync-period";
        /// The scheduler of Services that do not ask for another: `rr`, `wrr`, `lc`, `wlc`, `mh` or
        /// any other that the kernel has.
        "scheduler" scheduler: Option<String> = "rr" <- "ipvs-scheduler";
        /// Virtual servers in these networks are never deleted.
        "excludeCIDRs" exclude_cidrs: Option<Vec<String>> = "" <- "ipvs-exclude-cidrs";
        /// Answer ARP requests only for addresses of the interface that was asked. MetalLB in layer
        /// 2 mode and kube-vip need it.
        "strictARP" strict_arp: Option<bool> = "false" <- "ipvs-strict-arp";
        /// The IPVS timeout of idle TCP connections. Zero leaves the kernel's.
        "tcpTimeout" tcp_timeout: Option<super::Period> = "0s" <- "ipvs-tcp-timeout";
        /// The IPVS timeout of TCP connections after a FIN. Zero leaves the kernel's.
        "tcpFinTimeout" tcp_fin_timeout: Option<super::Period> = "0s" <- "ipvs-tcpfin-timeout";
        /// The IPVS timeout of UDP flows. Zero leaves the kernel's.
        "udpTimeout" udp_timeout: Option<super::Period> = "0s" <- "ipvs-udp-timeout";
    }
}

section! {
    /// `conntrack`.
    Conntrack {
        /// Connections to track for each CPU. Zero leaves the kernel's limit as it is.
        "maxPerCore" max_per_core: Option<i64> = "32768" <- "conntrack-max-per-core";
        /// The least number of connections to track, whatever the number of CPUs.
        "min" min: Option<i64> = "131072" <- "conntrack-min";
        /// How long an idle TCP connection is tracked. Zero leaves the kernel's time.
        "tcpEstablishedTimeout" tcp_established_timeout: Option<super::Period> = "24h0m0s"
            <- "conntrack-tcp-timeout-established";
        /// How long a half-closed TCP connection (CLOSE_WAIT) is tracked. Zero leaves the kernel's
        /// time.
        "tcpCloseWaitTimeout" tcp_close_wait_timeout: Option<super::Period> = "1h0m0s"
            <- "conntrack-tcp-timeout-close-wait";
        /// Accept TCP packets outside of the window as valid.
        "tcpBeLiberal" tcp_be_liberal: Option<bool> = "false" <- "conntrack-tcp-be-liberal";
        /// How long a UDP flow without an answer is tracked. Zero leaves the kernel's time.
        "udpTimeout" udp_timeout: Option<super::Period> = "0s" <- "conntrack-udp-timeout";
        /// How long a UDP flow with answers is tracked. Zero leaves the kernel's time.
        "udpStreamTimeout" udp_stream_timeout: Option<super::Period> = "0s"
            <- "conntrack-udp-timeout-stream";
        /// Connections to track, whatever the number of CPUs.
        "max" max: Option<i64> = ""
            ! "kube-proxy does not have it any more; use maxPerCore and min";
    }
}

section! {
    /// `logging`.
    Logging {
        /// What log lines look like: `text` or `json`.
        "format" format: Option<String> = "text" <- "log-format";
        /// 0 for events, 2 for details, 5 for everything.
        "verbosity" verbosity: Option<i64> = "0" <- "v";
        /// Time between two writes of log lines.
        "flushFrequency" flush_frequency: Option<FlushFrequency> = "5s" <- "log-flush-frequency"
            ! "each line is written at once";
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
        /// Buffer of lines that are no errors.
        "infoBufferSize" info_buffer_size: Option<Quantity> = "0" <- "log-text-info-buffer-size"
            ! "each line is written at once";
    }
}

section! {
    /// `logging.options.json`.
    JsonOptions {
        /// Errors to stderr, the rest to stdout.
        "splitStream" split_stream: Option<bool> = "false" <- "log-json-split-stream"
            ! "all lines go to stderr";
        /// Buffer of lines that are no errors.
        "infoBufferSize" info_buffer_size: Option<Quantity> = "0" <- "log-json-info-buffer-size"
            ! "each line is written at once";
    }
}

section! {
    /// `nftables`.
    Nftables {
        /// As `iptables.masqueradeBit`.
        "masqueradeBit" masquerade_bit: Option<i64> = "14"
            ! "it is for kube-proxy's nftables mode; iptables.masqueradeBit is the one that counts";
        /// As `iptables.masqueradeAll`.
        "masqueradeAll" masquerade_all: Option<bool> = "false"
            ! "it is for kube-proxy's nftables mode; iptables.masqueradeAll is the one that counts";
        /// Time between two syncs.
        "syncPeriod" sync_period: Option<super::Period> = "30s"
            ! "ipvs.syncPeriod is the one that counts";
        /// Shortest time between two syncs.
        "minSyncPeriod" min_sync_period: Option<super::Period> = "1s"
            ! "ipvs.minSyncPeriod is the one that counts";
    }
}

section! {
    /// `winkernel`.
    Winkernel {
        /// The HNS network.
        "networkName" network_name: Option<String> = "" ! "it is for Windows";
        /// Source address of what is load balanced.
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
        /// How long a TCP endpoint that has left may keep its open connections. `0s` ends them at
        /// once.
        "drainTimeout" drain_timeout: Option<super::Period> = "15m0s";
        /// Whether the annotation `trimtab.dev/weight` of Nodes counts. All Nodes are watched for
        /// it.
        "nodeWeights" node_weights: Option<bool> = "false";
        /// Which external and load-balancer IPs are served.
        "externalIPs" external_ips: ExternalIps;
        /// How the kernel is told that a VIP is this node's: `address` adds each VIP to the
        /// interface `kube-ipvs0`, as kube-proxy does; `route` adds a route of type `local` for it.
        "vipBinding" vip_binding: Option<String> = "address";
        /// The bits of the packet mark that are Trimtab's, as a hexadecimal number. IPVS tells by
        /// marks what clients inside the cluster send to Services whose policy is Local. Two of the
        /// bits are needed for the way there; with the others, n of them, a node can serve 2 to the
        /// power of n ports of such Services in each family.
        "markBits" mark_bits: Option<String> = "0x30ff";
        /// The size of IPVS's connection table, as the power of two of its buckets, 8 to 27. It
        /// counts where Trimtab loads the module ip_vs. Without it, the size fits the connections
        /// that are tracked.
        "connectionTableBits" connection_table_bits: Option<i64> = "";
        /// How IPVS measures rates.
        "estimation" estimation: Estimation;
        /// Where sysctls are read and written. In a container, where the host's /proc/sys is mounted:
        /// a container's own is read-only, and nothing can be mounted inside it.
        "sysctlPath" sysctl_path: Option<String> = "/proc/sys" <- "sysctl-path";
        /// The kind of iptables that the rules are written by: `nft`, `legacy`, or `auto` for the one
        /// that has the kubelet's chains, else the one with more rules, else nft.
        "iptablesBackend" iptables_backend: Option<String> = "auto" <- "iptables-backend";
    }
}

section! {
    /// `trimtab.externalIPs`: which addresses of `spec.externalIPs` and `status.loadBalancer` are
    /// served, against Services that draw the traffic of addresses that are not theirs
    /// (CVE-2020-8554).
    ExternalIps {
        /// Of external and load-balancer IPs, only those in these networks are served. Empty for any
        /// address. With networks of one family only, no address of the other is served.
        "allowedCIDRs" allowed_cidrs: Option<Vec<String>> = "";
        /// External and load-balancer IPs in these networks are never served: the networks of pods,
        /// Services and nodes, for example.
        "deniedCIDRs" denied_cidrs: Option<Vec<String>> = "";
        /// Whether an external or load-balancer IP is served that is an address of one of the node's
        /// own interfaces. k3s' ServiceLB needs it.
        "allowNodeAddresses" allow_node_addresses: Option<bool> = "true";
    }
}

section! {
    /// `trimtab.estimation`: what is not given stays as it is in the kernel.
    Estimation {
        /// Whether IPVS measures rates at all. Without it, the kernel's setting stays.
        "enabled" enabled: Option<bool> = "";
        /// The niceness of the kernel threads that measure, -20 to 19. Without it, the kernel's
        /// setting stays.
        "nice" nice: Option<i64> = "";
        /// The CPUs that these threads may run on, such as `0-3,8`. Without it, the kernel's
        /// setting stays.
        "cpus" cpus: Option<String> = "";
    }
}

/// Reads a configuration file's text, YAML or JSON. What is wrong with single fields is complained
/// of by [`super::resolve`], together with what does not fit together.
///
/// # Errors
/// [`Error::Syntax`] if it does not parse, or is of another kind. A field that nobody knows is only
/// noted, as kube-proxy does.
pub fn parse(path: &Path, text: &str) -> Result<(ConfigFile, Notes), Error> {
    let syntax = |message: String| Error::Syntax { path: path.to_owned(), message };
    let value: Option<Value> =
        serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?;
    let origin = Origin { file: Some(path.to_owned()), ..Origin::default() };
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
