//! The metrics, each recorded in one place.
//!
//! Names that kube-proxy has are kept, so that dashboards go on; what it has not begins with
//! `trimtab_`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use trimtab_core::Family;
use trimtab_reconcile::{Drift, Plan, Reconciler, Report};

use crate::source::Change;

const SYNC_DURATION: &str = "kubeproxy_sync_proxy_rules_duration_seconds";
const LAST_SYNC: &str = "kubeproxy_sync_proxy_rules_last_timestamp_seconds";
const SERVICE_CHANGES: &str = "kubeproxy_sync_proxy_rules_service_changes_total";
const ENDPOINT_CHANGES: &str = "kubeproxy_sync_proxy_rules_endpoint_changes_total";
const LAST_QUEUED: &str = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds";
const SERVICES_PENDING: &str = "kubeproxy_sync_proxy_rules_service_changes_pending";
const ENDPOINTS_PENDING: &str = "kubeproxy_sync_proxy_rules_endpoint_changes_pending";
const NO_LOCAL: &str = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
const RESTORE_FAILURES: &str = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total";
const HEALTHZ: &str = "kubeproxy_proxy_healthz_total";
const LIVEZ: &str = "kubeproxy_proxy_livez_total";
const LATENCY: &str = "kubeproxy_network_programming_duration_seconds";
const OPERATIONS: &str = "trimtab_operations_total";
const FAILURES: &str = "trimtab_operation_failures_total";
const FLOWS: &str = "kubeproxy_conntrack_reconciler_deleted_entries_total";
const ROUND: &str = "trimtab_round_duration_seconds";
const MESSAGES: &str = "trimtab_netlink_messages_total";
const SENDS: &str = "trimtab_netlink_sends_total";
const BYTES: &str = "trimtab_netlink_bytes_total";
const DRIFT: &str = "trimtab_drift_total";
const AUDITS: &str = "trimtab_audits_total";
const PROBLEMS: &str = "trimtab_problems_total";
const PROBLEMS_NOW: &str = "trimtab_problems";
const EVENTS: &str = "trimtab_events_total";
const EVENTS_DROPPED: &str = "trimtab_events_dropped_total";
const SERVICES: &str = "trimtab_services";
const VIRTUAL_SERVERS: &str = "trimtab_virtual_servers";
const REAL_SERVERS: &str = "trimtab_real_servers";
const STATISTICS: &str = "trimtab_kernel_statistics_bytes";
const DRAINING: &str = "trimtab_draining_real_servers";
const RETRYING: &str = "trimtab_retrying_objects";

/// Samples of histograms that may wait to be counted into their buckets.
const WAITING: usize = 1024;

/// Who counts them.
static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
static SAMPLES: AtomicUsize = AtomicUsize::new(0);

/// Starts collecting. The handle renders what `/metrics` serves.
///
/// # Errors
/// When the program collects already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let doubling: Vec<f64> = (0..15).map(|power| 0.001 * f64::from(1 << power)).collect();
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SYNC_DURATION.to_owned()), &doubling)?
        .set_buckets_for_metric(Matcher::Full(ROUND.to_owned()), &doubling)?
        .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &latency_buckets())?
        .install_recorder()?;
    describe();
    EXPORTER.get_or_init(|| handle.clone());
    Ok(handle)
}

/// Records a sample of a histogram. The exporter keeps every single one until it is asked for the
/// metrics or for this, and perhaps nobody ever asks for the metrics.
fn sample(name: &'static str, value: f64) {
    histogram!(name).record(value);
    if SAMPLES.fetch_add(1, Ordering::Relaxed) % WAITING == WAITING - 1
        && let Some(exporter) = EXPORTER.get()
    {
        exporter.run_upkeep();
    }
}

/// kube-proxy's: 0.25, 0.5, every second to a minute, every five to two, every thirty to five.
fn latency_buckets() -> Vec<f64> {
    let steps = |from: u32, to: u32, step: usize| (from..=to).step_by(step).map(f64::from);
    [0.25, 0.5]
        .into_iter()
        .chain(steps(1, 59, 1))
        .chain(steps(60, 115, 5))
        .chain(steps(120, 300, 30))
        .collect()
}

fn describe() {
    describe_histogram!(
        SYNC_DURATION,
        "Seconds from a change's arrival to its being in the kernel"
    );
    describe_gauge!(LAST_SYNC, "When the kernel last held all that was asked for, Unix seconds");
    describe_counter!(SERVICE_CHANGES, "Service events");
    describe_counter!(ENDPOINT_CHANGES, "EndpointSlice events");
    describe_gauge!(LAST_QUEUED, "When the last change arrived, Unix seconds");
    describe_gauge!(SERVICES_PENDING, "Service events that are not in the kernel yet");
    describe_gauge!(ENDPOINTS_PENDING, "EndpointSlice events that are not in the kernel yet");
    describe_gauge!(NO_LOCAL, "Services of local traffic policy with endpoints elsewhere only");
    describe_counter!(
        RESTORE_FAILURES,
        "Times that the packet-filter rules could not be put right"
    );
    describe_counter!(HEALTHZ, "Answers of /healthz, by status");
    describe_counter!(LIVEZ, "Answers of /livez, by status");
    describe_histogram!(LATENCY, "Seconds from the cause of an endpoint's change to the kernel");
    describe_counter!(FLOWS, "Tracked UDP flows that were forgotten, by family");
    describe_counter!(OPERATIONS, "Operations on kernel objects, by kind");
    describe_counter!(FAILURES, "Operations that the kernel refused, by kind");
    describe_histogram!(ROUND, "Seconds that one round of operations took");
    describe_counter!(MESSAGES, "Netlink messages that changed something, by kind of object");
    describe_counter!(SENDS, "System calls that sent them");
    describe_counter!(BYTES, "Their bytes");
    describe_counter!(DRIFT, "Kernel objects that were not as left, by kind");
    describe_counter!(AUDITS, "Complete comparisons with the kernel");
    describe_counter!(PROBLEMS, "Problems found in objects, by reason");
    describe_gauge!(PROBLEMS_NOW, "Problems in objects that stand, by reason");
    describe_counter!(EVENTS, "Requests to the API server for Events, by outcome");
    describe_counter!(EVENTS_DROPPED, "Problems without an Event, for too many stand at once");
    describe_gauge!(SERVICES, "Services that are proxied");
    describe_gauge!(VIRTUAL_SERVERS, "Virtual servers that the kernel has or should have");
    describe_gauge!(REAL_SERVERS, "Real servers behind them");
    describe_gauge!(STATISTICS, "Kernel memory for their per-CPU statistics, estimated");
    describe_gauge!(DRAINING, "Real servers that keep connections and get no new ones");
    describe_gauge!(RETRYING, "Kernel objects whose last operation failed");
}

/// Changes arrived together.
pub fn arrived(changes: &[Change]) {
    let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
    let services = count(|change| matches!(change, Change::Service(_) | Change::ServiceGone(_)));
    let slices = count(|change| matches!(change, Change::Slice(..) | Change::SliceGone(_)));
    counter!(SERVICE_CHANGES).increment(services as u64);
    gauge!(SERVICES_PENDING).increment(as_f64(services));
    counter!(ENDPOINT_CHANGES).increment(slices as u64);
    gauge!(ENDPOINTS_PENDING).increment(as_f64(slices));
    if services + slices > 0 {
        gauge!(LAST_QUEUED).set(jiff::Timestamp::now().as_duration().as_secs_f64());
    }
}

/// A problem was found in an object.
pub fn problem(reason: &'static str) {
    counter!(PROBLEMS, "reason" => reason).increment(1);
}

/// So many problems of this kind stand.
pub fn problems_now(reason: &'static str, count: usize) {
    gauge!(PROBLEMS_NOW, "reason" => reason).set(as_f64(count));
}

/// A request for an Event ended: `sent`, `known`, `forgotten` or `failed`.
pub fn event(outcome: &'static str) {
    counter!(EVENTS, "outcome" => outcome).increment(1);
}

/// There was no room for a problem's Event.
pub fn event_dropped() {
    counter!(EVENTS_DROPPED).increment(1);
}

/// A plan was carried out.
pub fn round(plan: &Plan, report: &Report, took: Duration) {
    sample(ROUND, took.as_secs_f64());
    let mut counts: std::collections::BTreeMap<&'static str, u64> =
        std::collections::BTreeMap::new();
    for operation in plan.operations() {
        *counts.entry(operation.action.verb()).or_default() += 1;
    }
    for (verb, count) in counts {
        counter!(OPERATIONS, "operation" => verb).increment(count);
    }
    for (operation, _) in &report.failed {
        counter!(FAILURES, "operation" => operation.action.verb()).increment(1);
    }
}

/// Messages were sent to change `what`: `ipvs`, `ipset` or `route`.
pub fn sent(what: &'static str, messages: usize, sends: usize, bytes: usize) {
    counter!(MESSAGES, "objects" => what).increment(messages as u64);
    counter!(SENDS, "objects" => what).increment(sends as u64);
    counter!(BYTES, "objects" => what).increment(bytes as u64);
}

/// Tracked flows of a family were forgotten.
pub fn flows_forgotten(family: Family, count: usize) {
    counter!(FLOWS, "ip_family" => family.to_string()).increment(count as u64);
}

/// All changes are in the kernel, the first of them after this time.
pub fn settled(took: Duration, reconciler: &Reconciler) {
    sample(SYNC_DURATION, took.as_secs_f64());
    gauge!(LAST_SYNC).set(jiff::Timestamp::now().as_duration().as_secs_f64());
    gauge!(SERVICES).set(as_f64(reconciler.service_count()));
    gauge!(RETRYING).set(as_f64(reconciler.retrying()));
}

/// Nothing waits to be programmed.
pub fn nothing_pending() {
    gauge!(SERVICES_PENDING).set(0.0);
    gauge!(ENDPOINTS_PENDING).set(0.0);
}

/// The packet-filter rules of a family could not be read or written.
pub fn rules_failed(family: Family) {
    counter!(RESTORE_FAILURES, "ip_family" => family.to_string()).increment(1);
}

/// A probe was answered.
pub fn probed(path: &str, status: u16) {
    let name = if path == "/livez" { LIVEZ } else { HEALTHZ };
    counter!(name, "code" => status.to_string()).increment(1);
}

/// A change of an endpoint is in the kernel this long after its cause.
pub fn programming_latency(seconds: f64) {
    sample(LATENCY, seconds);
}

/// A comparison with the kernel is complete.
pub fn audited(drift: &Drift, reconciler: &Reconciler) {
    counter!(AUDITS).increment(1);
    for (kind, count) in [
        ("virtual_server", drift.virtual_servers),
        ("real_server", drift.real_servers),
        ("element", drift.elements),
        ("address", drift.addresses),
    ] {
        counter!(DRIFT, "kind" => kind).increment(count as u64);
    }
    gauge!(DRAINING).set(as_f64(reconciler.draining_servers()));
    for family in Family::ALL {
        let lacking = reconciler.without_local_endpoints(family);
        for (policy, count) in [("internal", lacking.internal), ("external", lacking.external)] {
            let family = family.to_string();
            gauge!(NO_LOCAL, "traffic_policy" => policy, "ip_family" => family).set(as_f64(count));
        }
    }
    gauge!(RETRYING).set(as_f64(reconciler.retrying()));
}

/// The kernel has, or will have, this many servers, and these bytes for their statistics.
pub fn servers(virtual_servers: usize, real_servers: usize, statistics_bytes: u64) {
    gauge!(VIRTUAL_SERVERS).set(as_f64(virtual_servers));
    gauge!(REAL_SERVERS).set(as_f64(real_servers));
    gauge!(STATISTICS).set(as_f64(usize::try_from(statistics_bytes).unwrap_or(usize::MAX)));
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; counts stay far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
