//! The metrics. [`all`] has the name, meaning and labels of each. Those in [`RECORDED`] are recorded by
//! functions of this crate only; those of [`traffic`], whose series come and go with Services, of
//! [`process`] and of [`sli`] are written as text by [`exposition`].
//!
//! Metrics that kube-proxy also has keep its names, so that dashboards continue to work; all others
//! begin with `trimtab_`.

pub mod exposition;
pub mod process;
pub mod sli;
mod table;
pub mod traffic;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use trimtab_core::Family;

use table::names::{
    API_FAILING, API_HEARD, AUDIT_ERRORS, AUDITS, BUILD_INFO, BYTES, DRAINING, DRIFT,
    ENDPOINT_CHANGES, ENDPOINTS_PENDING, EVENTS, EVENTS_DROPPED, FAILURES, FLOWS, HEALTHZ,
    KUBERNETES_BUILD_INFO, LAST_QUEUED, LAST_SYNC, LATENCY, LIVEZ, MESSAGES, NO_LOCAL, OPERATIONS,
    OTHER_PROXY, PROBLEMS, PROBLEMS_NOW, REAL_SERVERS, RESTORE_FAILURES, RETRYING, ROUND, SENDS,
    SERVICE_CHANGES, SERVICES, SERVICES_PENDING, STATISTICS, SYNC_DURATION, VIRTUAL_SERVERS,
    WATCH_ERRORS, WRONG_SYSCTLS,
};
pub use table::{Kind, Metric, RECORDED};

/// Every metric of `/metrics`.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    RECORDED.iter().chain(traffic::TRAFFIC).chain(process::PROCESS).chain(sli::SLIS)
}

/// How many samples of histograms may wait before they are counted into their buckets.
const WAITING: usize = 1024;

/// Who counts them.
static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
static SAMPLES: AtomicUsize = AtomicUsize::new(0);

/// Installs the recorder. The handle renders the text that `/metrics` serves.
///
/// # Errors
/// If a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let doubling: Vec<f64> = (0..15).map(|power| 0.001 * f64::from(1 << power)).collect();
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SYNC_DURATION.to_owned()), &doubling)?
        .set_buckets_for_metric(Matcher::Full(ROUND.to_owned()), &doubling)?
        .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &latency_buckets())?
        .install_recorder()?;
    describe();
    build_info();
    // A counter that begins at zero has a rate from its first increment on.
    for family in Family::ALL {
        counter!(RESTORE_FAILURES, "ip_family" => family.to_string()).increment(0);
    }
    EXPORTER.get_or_init(|| handle.clone());
    Ok(handle)
}

/// Records a sample of a histogram, and every so often has the exporter count the samples into
/// buckets: it keeps each single sample until then or until the metrics are rendered, and perhaps
/// nobody ever scrapes them.
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
    for Metric { name, kind, meaning, .. } in RECORDED.iter().copied() {
        match kind {
            Kind::Counter => describe_counter!(name, meaning),
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram => describe_histogram!(name, meaning),
        }
    }
}

/// The release of Kubernetes whose kube-proxy this program stands in for: the one whose flags and
/// configuration it accepts.
pub const KUBERNETES_RELEASE: &str = "1.36";

/// Which program this is. Its series never change.
fn build_info() {
    let version = env!("CARGO_PKG_VERSION");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    gauge!(BUILD_INFO, "version" => version, "architecture" => architecture).set(1.0);
    let (major, minor) = KUBERNETES_RELEASE.split_once('.').unwrap_or((KUBERNETES_RELEASE, ""));
    gauge!(
        KUBERNETES_BUILD_INFO,
        "major" => major,
        "minor" => minor,
        "git_version" => format!("v{KUBERNETES_RELEASE}.0+trimtab-{version}"),
        "platform" => format!("linux/{architecture}"),
        "compiler" => "rustc",
    )
    .set(1.0);
}

/// This many changes of Services and of EndpointSlices arrived together.
pub fn arrived(services: usize, slices: usize) {
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

/// There are this many problems of this kind now.
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

/// The API server sent something.
pub fn api_server_heard() {
    gauge!(API_HEARD).set(jiff::Timestamp::now().as_duration().as_secs_f64());
}

/// The watches of this many kinds of objects fail.
pub fn api_server_failing(kinds: usize) {
    gauge!(API_FAILING).set(as_f64(kinds));
}

/// A list or a watch failed or was interrupted.
pub fn watch_failed(kind: &'static str) {
    counter!(WATCH_ERRORS, "kind" => kind).increment(1);
}

/// A plan was carried out in this time.
pub fn round(took: Duration) {
    sample(ROUND, took.as_secs_f64());
}

/// This many operations of one kind were tried.
pub fn operations(verb: &'static str, count: u64) {
    counter!(OPERATIONS, "operation" => verb).increment(count);
}

/// The kernel refused this many operations of one kind.
pub fn operations_failed(verb: &'static str, count: u64) {
    counter!(FAILURES, "operation" => verb).increment(count);
}

/// Messages were sent to change `what`: `ipvs`, `ipset` or `route`.
pub fn sent(what: &'static str, messages: usize, sends: usize, bytes: usize) {
    counter!(MESSAGES, "objects" => what).increment(messages as u64);
    counter!(SENDS, "objects" => what).increment(sends as u64);
    counter!(BYTES, "objects" => what).increment(bytes as u64);
}

/// Conntrack entries of a family were deleted.
pub fn flows_forgotten(family: Family, count: usize) {
    counter!(FLOWS, "ip_family" => family.to_string()).increment(count as u64);
}

/// All changes are in the kernel, the first of them after this time.
pub fn settled(took: Duration, services: usize, retrying: usize) {
    sample(SYNC_DURATION, took.as_secs_f64());
    gauge!(LAST_SYNC).set(jiff::Timestamp::now().as_duration().as_secs_f64());
    gauge!(SERVICES).set(as_f64(services));
    self::retrying(retrying);
}

/// This many objects failed and wait for a retry.
pub fn retrying(objects: usize) {
    gauge!(RETRYING).set(as_f64(objects));
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

/// Whether a sysctl has a wrong value and cannot be written.
pub fn sysctl_is_wrong(sysctl: &'static str, wrong: bool) {
    gauge!(WRONG_SYSCTLS, "sysctl" => sysctl).set(if wrong { 1.0 } else { 0.0 });
}

/// Whether another service proxy also programs this node.
pub fn other_proxy(runs: bool) {
    gauge!(OTHER_PROXY).set(if runs { 1.0 } else { 0.0 });
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
pub fn audited() {
    counter!(AUDITS).increment(1);
}

/// A part of the kernel could not be compared.
pub fn audit_failed() {
    counter!(AUDIT_ERRORS).increment(1);
}

/// Another program had changed this many kernel objects of one kind.
pub fn drift(kind: &'static str, objects: usize) {
    counter!(DRIFT, "kind" => kind).increment(objects as u64);
}

/// This many real servers are draining.
pub fn draining(real_servers: usize) {
    gauge!(DRAINING).set(as_f64(real_servers));
}

/// This many Services have the traffic policy Local, `internal` or `external`, and no endpoint on
/// this node.
pub fn without_local_endpoints(family: Family, policy: &'static str, services: usize) {
    let family = family.to_string();
    gauge!(NO_LOCAL, "traffic_policy" => policy, "ip_family" => family).set(as_f64(services));
}

/// The kernel has, or will have, this many virtual and real servers, and this many bytes of
/// statistics for them.
pub fn servers(virtual_servers: usize, real_servers: usize, statistics_bytes: u64) {
    gauge!(VIRTUAL_SERVERS).set(as_f64(virtual_servers));
    gauge!(REAL_SERVERS).set(as_f64(real_servers));
    gauge!(STATISTICS).set(as_f64(usize::try_from(statistics_bytes).unwrap_or(usize::MAX)));
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; counts stay far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The exposed metrics: type and labels of each.
    fn exposed(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let mut found: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            {
                name.clone_into(&mut current);
                found.entry(current.clone()).or_default().0 = kind.to_owned();
            } else if let Some((labels, _)) =
                line.split_once('{').and_then(|(_, rest)| rest.split_once('}'))
            {
                let labels = labels.split(',').filter_map(|label| label.split_once('='));
                let labels = labels.map(|(label, _)| label.to_owned());
                let labels = labels.filter(|label| !["le", "quantile"].contains(&label.as_str()));
                found.entry(current.clone()).or_default().1.extend(labels);
            }
        }
        found
    }

    #[test]
    fn what_is_recorded_is_what_is_described() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            build_info();
            arrived(1, 1);
            problem("InvalidValue");
            problems_now("InvalidValue", 1);
            event("sent");
            event_dropped();
            api_server_heard();
            api_server_failing(1);
            watch_failed("services");
            round(Duration::ZERO);
            operations("bind", 1);
            operations_failed("bind", 1);
            sent("ipvs", 1, 1, 1);
            flows_forgotten(Family::V4, 1);
            settled(Duration::ZERO, 1, 1);
            rules_failed(Family::V4);
            probed("/livez", 200);
            probed("/healthz", 200);
            programming_latency(0.0);
            audited();
            audit_failed();
            drift("address", 1);
            draining(1);
            without_local_endpoints(Family::V4, "internal", 1);
            servers(1, 1, 1);
            sysctl_is_wrong("net/ipv4/ip_forward", true);
            other_proxy(true);
        });
        let text = recorder.handle().render();
        let exposed = exposed(&text);
        for metric in RECORDED {
            let (kind, labels) = exposed.get(metric.name).unwrap_or_else(|| panic!("{metric:?}"));
            // A histogram without configured buckets would be exported as quantiles.
            let kind = if kind == "summary" { "histogram" } else { kind };
            assert_eq!(kind, metric.kind.as_str(), "{}", metric.name);
            let known: BTreeSet<String> = metric.labels.iter().map(ToString::to_string).collect();
            assert_eq!(*labels, known, "{}", metric.name);
            let help = format!("# HELP {} {}", metric.name, metric.meaning);
            assert!(text.contains(&help), "{help}\n{text}");
        }
        let described: BTreeSet<&str> = RECORDED.iter().map(|metric| metric.name).collect();
        for name in exposed.keys() {
            assert!(described.contains(name.as_str()), "{name} is not described");
        }
    }
}
