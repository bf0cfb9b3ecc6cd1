//! Every metric: its name, kind, labels and meaning, for `/metrics` and for the reference.

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// A current value.
    Gauge,
    /// Samples in buckets.
    Histogram,
}

impl Kind {
    /// As Prometheus spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The description of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The labels of its series.
    pub labels: &'static [&'static str],
    /// What it counts or measures, and its unit.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $meaning:literal;)*) => {
        /// The names, for the recording functions.
        pub(super) mod names {
            $(pub(crate) const $constant: &str = $name;)*
        }

        /// The metrics that the recording functions of this crate record.
        pub const RECORDED: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            meaning: $meaning,
        },)*];
    };
}

metrics! {
    SYNC_DURATION = Histogram "kubeproxy_sync_proxy_rules_duration_seconds" []
        "Seconds from a change's arrival until it is in the kernel";
    LAST_SYNC = Gauge "kubeproxy_sync_proxy_rules_last_timestamp_seconds" []
        "When the kernel last held the desired state, Unix seconds";
    LAST_QUEUED = Gauge "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds" []
        "When the last change arrived, Unix seconds";
    SERVICE_CHANGES = Counter "kubeproxy_sync_proxy_rules_service_changes_total" []
        "Service events";
    ENDPOINT_CHANGES = Counter "kubeproxy_sync_proxy_rules_endpoint_changes_total" []
        "EndpointSlice events";
    SERVICES_PENDING = Gauge "kubeproxy_sync_proxy_rules_service_changes_pending" []
        "Service events that are not in the kernel yet";
    ENDPOINTS_PENDING = Gauge "kubeproxy_sync_proxy_rules_endpoint_changes_pending" []
        "EndpointSlice events that are not in the kernel yet";
    NO_LOCAL = Gauge "kubeproxy_sync_proxy_rules_no_local_endpoints_total"
        ["traffic_policy", "ip_family"]
        "Services with a local traffic policy (internal, external) and endpoints on other nodes \
         only";
    RESTORE_FAILURES = Counter "kubeproxy_sync_proxy_rules_iptables_restore_failures_total"
        ["ip_family"] "Failed reads and writes of the packet-filter rules";
    LATENCY = Histogram "kubeproxy_network_programming_duration_seconds" []
        "Seconds from the cause of an endpoint's change until it is in the kernel";
    FLOWS = Counter "kubeproxy_conntrack_reconciler_deleted_entries_total" ["ip_family"]
        "Deleted conntrack entries of UDP flows";
    HEALTHZ = Counter "kubeproxy_proxy_healthz_total" ["code"] "Responses of /healthz, by HTTP \
        status";
    LIVEZ = Counter "kubeproxy_proxy_livez_total" ["code"] "Responses of /livez, by HTTP status";
    OPERATIONS = Counter "trimtab_operations_total" ["operation"]
        "Operations on kernel objects, by kind";
    FAILURES = Counter "trimtab_operation_failures_total" ["operation"]
        "Operations that the kernel refused, by kind";
    ROUND = Histogram "trimtab_round_duration_seconds" []
        "Duration of one round of operations, in seconds";
    MESSAGES = Counter "trimtab_netlink_messages_total" ["objects"]
        "Netlink messages that changed something, by kind of object: ipvs, ipset or route";
    SENDS = Counter "trimtab_netlink_sends_total" ["objects"]
        "System calls that sent netlink messages, by kind of object";
    BYTES = Counter "trimtab_netlink_bytes_total" ["objects"]
        "Bytes of netlink messages, by kind of object";
    DRIFT = Counter "trimtab_drift_total" ["kind"]
        "Kernel objects that another program had changed, by kind: virtual_server, real_server, \
         element or address";
    AUDITS = Counter "trimtab_audits_total" [] "Completed comparisons with the kernel";
    AUDIT_ERRORS = Counter "trimtab_audit_errors_total" [] "Parts of the kernel that could not be compared";
    PROBLEMS = Counter "trimtab_problems_total" ["reason"] "Problems found in objects, by reason";
    PROBLEMS_NOW = Gauge "trimtab_problems" ["reason"]
        "Current problems in objects, by reason";
    EVENTS = Counter "trimtab_events_total" ["outcome"]
        "Requests to the API server for Events, by outcome: sent, known, forgotten or failed";
    EVENTS_DROPPED = Counter "trimtab_events_dropped_total" []
        "Problems without an Event, because there were too many at once";
    WATCH_ERRORS = Counter "trimtab_watch_errors_total" ["kind"]
        "Failed or interrupted lists and watches of the API server, by kind of object";
    API_HEARD = Gauge "trimtab_api_server_last_heard_timestamp_seconds" []
        "When the API server last sent anything, Unix seconds";
    API_FAILING = Gauge "trimtab_api_server_failing_watches" []
        "Kinds of objects whose watch currently fails";
    SERVICES = Gauge "trimtab_services" [] "Services that are proxied";
    VIRTUAL_SERVERS = Gauge "trimtab_virtual_servers" []
        "Virtual servers that the kernel has or should have";
    REAL_SERVERS = Gauge "trimtab_real_servers" []
        "Real servers that the kernel has or should have";
    STATISTICS = Gauge "trimtab_kernel_statistics_bytes" []
        "Estimated kernel memory for the per-CPU statistics of virtual and real servers, in bytes";
    DRAINING = Gauge "trimtab_draining_real_servers" []
        "Draining real servers: they keep their connections and get no new ones";
    RETRYING = Gauge "trimtab_retrying_objects" [] "Kernel objects whose last operation failed";
    WRONG_SYSCTLS = Gauge "trimtab_wrong_sysctls" ["sysctl"]
        "1 if a sysctl has a wrong value and cannot be written, else 0";
    OTHER_PROXY = Gauge "trimtab_other_proxy" []
        "1 while another service proxy also programs this node, else 0";
    BUILD_INFO = Gauge "trimtab_build_info" ["version", "architecture"]
        "Always 1; the labels say which Trimtab this is";
    KUBERNETES_BUILD_INFO = Gauge "kubernetes_build_info"
        ["major", "minor", "git_version", "platform", "compiler"]
        "Always 1; the labels say for which release's kube-proxy Trimtab stands in";
}
