//! `KubeProxyConfiguration`, kubeproxy.config.k8s.io/v1alpha1, with a section of our own.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::Error;
use crate::duration::parse_duration;

/// The configuration file. A field that is not given is `None`; fields without effect here are
/// accepted and listed as such in the README.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigFile {
    /// Must be `kubeproxy.config.k8s.io/v1alpha1` where given.
    pub api_version: Option<String>,
    /// Must be `KubeProxyConfiguration` where given.
    pub kind: Option<String>,
    /// Must be `ipvs` or empty.
    pub mode: Option<String>,
    /// Name of the node, instead of the host's.
    pub hostname_override: Option<String>,
    /// Overrides the node's own address of its family.
    pub bind_address: Option<String>,
    /// Where /healthz, /livez and /readyz are served.
    pub healthz_bind_address: Option<String>,
    /// Where /metrics is served.
    pub metrics_bind_address: Option<String>,
    /// Exit when one of the two cannot be served.
    pub bind_address_hard_fail: Option<bool>,
    /// The pods' network.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    /// How traffic from local pods is told apart.
    pub detect_local_mode: Option<String>,
    /// Its details.
    pub detect_local: DetectLocal,
    /// Which of the node's addresses serve node ports.
    pub node_port_addresses: Option<Vec<String>>,
    /// How the API server is reached.
    pub client_connection: ClientConnection,
    /// Masquerading, which the IPVS mode takes from here.
    pub iptables: Iptables,
    /// The IPVS mode itself.
    pub ipvs: Ipvs,
    /// Connection tracking.
    pub conntrack: Conntrack,
    /// Verbosity and format.
    pub logging: Logging,
    /// The kernel's inclination to end this process when memory is short.
    pub oom_score_adj: Option<i32>,
    /// Accepted: objects are compared by content, so nothing needs to be repeated.
    pub config_sync_period: Option<Period>,
    /// Accepted without effect.
    pub enable_profiling: Option<bool>,
    /// Accepted without effect.
    pub feature_gates: Option<serde::de::IgnoredAny>,
    /// Accepted without effect.
    pub port_range: Option<String>,
    /// Accepted without effect.
    pub show_hidden_metrics_for_version: Option<String>,
    /// Accepted without effect.
    pub nftables: Option<serde::de::IgnoredAny>,
    /// Accepted without effect.
    pub winkernel: Option<serde::de::IgnoredAny>,
    /// Accepted without effect.
    pub windows_run_as_service: Option<bool>,
    /// What only this program has; kube-proxy notes it in its log and goes on.
    pub trimtab: Trimtab,
}

/// `detectLocal`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DetectLocal {
    /// Needed by the mode BridgeInterface.
    pub bridge_interface: Option<String>,
    /// Needed by the mode InterfaceNamePrefix.
    pub interface_name_prefix: Option<String>,
}

/// `clientConnection`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientConnection {
    /// Path of a kubeconfig; empty for the pod's own account.
    pub kubeconfig: Option<String>,
    /// Accepted without effect: objects are read as JSON.
    pub accept_content_types: Option<String>,
    /// Accepted without effect.
    pub content_type: Option<String>,
    /// Accepted without effect: there are three watches and rare Events.
    pub qps: Option<f64>,
    /// Accepted without effect.
    pub burst: Option<i64>,
}

/// `iptables`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Iptables {
    /// The bit of the packet mark that asks for masquerading.
    pub masquerade_bit: Option<i64>,
    /// Masquerade everything that goes to a cluster IP.
    pub masquerade_all: Option<bool>,
    /// Accepted without effect, as in kube-proxy's IPVS mode.
    pub localhost_node_ports: Option<bool>,
    /// Accepted without effect in this mode.
    pub sync_period: Option<Period>,
    /// Accepted without effect in this mode.
    pub min_sync_period: Option<Period>,
}

/// `ipvs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ipvs {
    /// How often the kernel is compared with what it should hold.
    pub sync_period: Option<Period>,
    /// The shortest time between two rounds of changes.
    pub min_sync_period: Option<Period>,
    /// Scheduler of Services that do not ask for another.
    pub scheduler: Option<String>,
    /// Virtual servers in these networks are never deleted.
    #[serde(rename = "excludeCIDRs")]
    pub exclude_cidrs: Option<Vec<String>>,
    /// Answer ARP only for addresses of the interface that was asked.
    #[serde(rename = "strictARP")]
    pub strict_arp: Option<bool>,
    /// IPVS timeout of idle TCP connections.
    pub tcp_timeout: Option<Period>,
    /// IPVS timeout of TCP connections after a FIN.
    pub tcp_fin_timeout: Option<Period>,
    /// IPVS timeout of UDP "connections".
    pub udp_timeout: Option<Period>,
}

/// `conntrack`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conntrack {
    /// Connections to track for each CPU; 0 leaves the limit alone.
    pub max_per_core: Option<i64>,
    /// The least number of connections to track.
    pub min: Option<i64>,
    /// Timeout of idle TCP connections.
    pub tcp_established_timeout: Option<Period>,
    /// Timeout of half-closed TCP connections.
    pub tcp_close_wait_timeout: Option<Period>,
    /// Take packets outside of the window for valid.
    pub tcp_be_liberal: Option<bool>,
    /// Timeout of UDP flows without an answer.
    pub udp_timeout: Option<Period>,
    /// Timeout of UDP flows with answers.
    pub udp_stream_timeout: Option<Period>,
}

/// `logging`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logging {
    /// `text` or `json`.
    pub format: Option<String>,
    /// 0 for events, 2 and more for details.
    pub verbosity: Option<i64>,
    /// Accepted without effect: lines are written at once.
    pub flush_frequency: Option<serde::de::IgnoredAny>,
    /// Accepted without effect.
    pub vmodule: Option<serde::de::IgnoredAny>,
    /// Accepted without effect.
    pub options: Option<serde::de::IgnoredAny>,
}

/// `trimtab`: what kube-proxy does not have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Trimtab {
    /// How long a TCP real server that left may keep its connections; `0s` removes it at once.
    pub drain_timeout: Option<Period>,
    /// Whether the annotation `trimtab.dev/weight` of Nodes counts, for which all Nodes are watched.
    pub node_weights: Option<bool>,
    /// Which external and load-balancer IPs are served; without it all, as in kube-proxy.
    #[serde(rename = "externalIPs")]
    pub external_ips: ExternalIps,
    /// How the kernel is told that a VIP is this node's: `address` or `route`.
    pub vip_binding: Option<String>,
    /// log2 of the buckets of IPVS's connection table, for when this program loads the module.
    pub connection_table_bits: Option<i64>,
    /// IPVS's measuring of rates.
    pub estimation: Estimation,
}

/// `trimtab.externalIPs`: which addresses of `spec.externalIPs` and `status.loadBalancer` are served,
/// against Services that draw the traffic of addresses that are not theirs (CVE-2020-8554).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalIps {
    /// Only addresses in these networks are served; empty for any address. With networks of one family
    /// only, no address of the other is served.
    #[serde(rename = "allowedCIDRs")]
    pub allowed_cidrs: Option<Vec<String>>,
    /// Addresses in these networks are never served: the pods', Services' and nodes' networks, for
    /// example.
    #[serde(rename = "deniedCIDRs")]
    pub denied_cidrs: Option<Vec<String>>,
    /// Whether an address of one of the node's own interfaces is served, as k3s' ServiceLB needs.
    pub allow_node_addresses: Option<bool>,
}

/// `trimtab.estimation`: what is not given stays as it is in the kernel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Estimation {
    /// Whether IPVS measures rates at all.
    pub enabled: Option<bool>,
    /// Niceness of the kernel threads that do, -20 to 19.
    pub nice: Option<i64>,
    /// The CPUs that they may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// A duration in a file: Go's notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub std::time::Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map(Self)
            .map_err(|why| serde::de::Error::custom(format_args!("{text:?}: {why}")))
    }
}

/// What is odd about a file that can be used all the same.
pub type Notes = Vec<String>;

/// Reads a configuration file's text, YAML or JSON.
///
/// # Errors
/// [`Error::Syntax`] if it does not parse, or is of another kind. A field that nobody knows is only
/// noted, as kube-proxy does.
pub fn parse(path: &Path, text: &str) -> Result<(ConfigFile, Notes), Error> {
    let syntax = |message: String| Error::Syntax { path: path.to_owned(), message };
    let mut notes = Vec::new();
    let file = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let mut note = |field: serde_ignored::Path<'_>| {
            notes.push(format!("{}: unknown field {field}, ignored", path.display()));
        };
        serde_ignored::deserialize::<_, _, Option<ConfigFile>>(deserializer, &mut note)
    });
    let file = file.map_err(|error| syntax(error.to_string()))?.unwrap_or_default();
    if let Some(kind) = file.kind.as_deref().filter(|kind| *kind != "KubeProxyConfiguration") {
        return Err(syntax(format!("kind: expected KubeProxyConfiguration, found {kind:?}")));
    }
    let version = file.api_version.as_deref();
    if let Some(version) = version.filter(|v| *v != "kubeproxy.config.k8s.io/v1alpha1") {
        let message =
            format!("apiVersion: expected kubeproxy.config.k8s.io/v1alpha1, found {version:?}");
        return Err(syntax(message));
    }
    Ok((file, notes))
}
