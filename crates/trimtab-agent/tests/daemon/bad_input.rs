//! Invalid objects: the log names each, and nothing else changes.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

use crate::kernel::FakeKernel;
use crate::rig::{Rig, service, slice};

const WEB: &str = "10.96.0.1";

/// Captures the log of this thread from now on.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// A second subscriber, of nobody. While there is only one, tracing asks the thread that comes to a
/// line first whether anybody wants it, and keeps the answer for all threads: that of another test
/// then silences this one's lines (`Rebuilder::JustOne`, tracing-core).
static NOBODYS: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish()));

impl Log {
    pub(crate) fn start() -> (Self, DefaultGuard) {
        LazyLock::force(&NOBODYS);
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bad_service(spec: &str) -> String {
    bad_object("metadata: {name: bad, namespace: n, creationTimestamp: 2030-01-01T00:00:00Z}", spec)
}

fn annotated(key: &str, value: &str) -> String {
    let metadata = format!(
        "metadata: {{name: bad, namespace: n, annotations: {{trimtab.dev/{key}: \"{value}\"}}}}"
    );
    bad_object(&metadata, "{clusterIP: 10.96.0.66, ports: [{name: http, port: 80}]}")
}

fn bad_object(metadata: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\n{metadata}\nspec: {spec}\n")
}

/// A second slice of `service`.
fn bad_slice(service: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: bad-slice, \
         namespace: n, labels: {{kubernetes.io/service-name: {service}}}}}\n{rest}\n"
    )
}

/// Objects, and what the log must name of each.
fn cases() -> Vec<(String, Vec<&'static str>)> {
    let spec = |field: &'static str, wrong: &'static str, spec: &str| {
        (bad_service(spec), vec!["n/bad", field, wrong])
    };
    let base = |more: &str| {
        format!("{{clusterIP: 10.96.0.66, ports: [{{name: http, port: 80}}], {more}}}")
    };
    let long = "x".repeat(5000);
    let mut cases = vec![
        spec("spec.clusterIP[0]", "10.96.0.300", "{clusterIP: 10.96.0.300, ports: [{port: 80}]}"),
        spec("spec.clusterIPs[1]", "fd00::g", "{clusterIPs: [10.96.0.66, 'fd00::g'], ports: []}"),
        spec("spec.ports[0].port", "0", "{clusterIP: 10.96.0.66, ports: [{port: 0}]}"),
        spec("spec.ports[0].port", "70000", "{clusterIP: 10.96.0.66, ports: [{port: 70000}]}"),
        spec("spec.ports[0].port", "-1", "{clusterIP: 10.96.0.66, ports: [{port: -1}]}"),
        spec("spec.ports[0].port", "missing", "{clusterIP: 10.96.0.66, ports: [{name: http}]}"),
        spec(
            "spec.ports[1].protocol",
            "ICMP",
            "{clusterIP: 10.96.0.66, ports: [{port: 80}, {port: 81, protocol: ICMP}]}",
        ),
        spec(
            "spec.ports[0].nodePort",
            "70000",
            "{clusterIP: 10.96.0.66, ports: [{port: 80, nodePort: 70000}]}",
        ),
        spec("spec.type", "Magic", &base("type: Magic")),
        spec("spec.externalIPs[0]", "nowhere", &base("externalIPs: [nowhere]")),
        spec(
            "spec.loadBalancerSourceRanges[0]",
            "10.0.0.0/40",
            &base("loadBalancerSourceRanges: [10.0.0.0/40]"),
        ),
        spec("spec.internalTrafficPolicy", "Near", &base("internalTrafficPolicy: Near")),
        spec("spec.externalTrafficPolicy", "Far", &base("externalTrafficPolicy: Far")),
        spec("spec.sessionAffinity", "Cookie", &base("sessionAffinity: Cookie")),
        spec(
            "timeoutSeconds",
            "90000",
            &base(
                "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: \
                 90000}}",
            ),
        ),
        spec(
            "spec.healthCheckNodePort",
            "70000",
            &base("type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 70000"),
        ),
        (
            bad_service(&base("type: LoadBalancer"))
                + "status: {loadBalancer: {ingress: [{ip: here}]}}\n",
            vec!["n/bad", "status.loadBalancer.ingress", "here"],
        ),
        // Values that the API allows but that no node should apply.
        spec("127.0.0.5", "loopback", "{clusterIP: 127.0.0.5, ports: [{port: 80}]}"),
        spec("169.254.1.1", "link-local", &base("externalIPs: [169.254.1.1]")),
        spec("0.0.0.0", "unspecified", &base("externalIPs: [0.0.0.0]")),
        spec("10.96.0.1:80", "n/web", "{clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}"),
    ];
    for key in ["scheduler", "scheduler-flags", "one-packet", "max-connections", "drain-timeout"] {
        cases
            .push((annotated(key, &long), vec!["n/bad", "metadata.annotations[trimtab.dev/", key]));
    }
    cases.push((annotated("colour", "blue"), vec!["n/bad", "trimtab.dev/colour"]));
    let of_slices = [
        ("addressType: MAC", "addressType", "MAC"),
        ("endpoints: []", "addressType", "\"\""),
        (
            "addressType: IPv4\nendpoints: [{addresses: ['fd00::1']}]",
            "endpoints[0].addresses[0]",
            "fd00::1",
        ),
        (
            "addressType: IPv6\nendpoints: [{addresses: [10.244.0.9]}]",
            "endpoints[0].addresses[0]",
            "10.244.0.9",
        ),
        (
            "addressType: IPv4\nendpoints: [{addresses: [10.244.0]}]",
            "endpoints[0].addresses[0]",
            "10.244.0",
        ),
        ("addressType: IPv4\nendpoints: [{}]", "endpoints[0].addresses[0]", "missing"),
        ("addressType: IPv4\nports: [{name: http, port: 70000}]", "ports[0].port", "70000"),
        (
            "addressType: IPv4\nports: [{name: http, port: 80, protocol: QUIC}]",
            "ports[0].protocol",
            "QUIC",
        ),
    ];
    // Slices of a Service that works, and of one that does not exist.
    for of in ["web", "nobody"] {
        for (rest, field, wrong) in of_slices {
            cases.push((bad_slice(of, rest), vec!["n/", "EndpointSlice bad-slice", field, wrong]));
        }
    }
    cases
}

async fn started() -> Rig {
    let rig = Rig::start(FakeKernel::default(), "");
    // The oldest Service has the frontend that two claim.
    let web = service("web", WEB)
        .replace("namespace: n", "namespace: n, creationTimestamp: 2020-01-01T00:00:00Z");
    rig.list(&(web + &slice("web", &["10.244.0.1", "10.244.0.2"]))).await;
    rig.kernel.take_log();
    rig
}

#[tokio::test(start_paused = true)]
async fn each_bad_object_is_named_and_changes_nothing_for_others() {
    for (objects, words) in cases() {
        let rig = started().await;
        let (log, _guard) = Log::start();
        rig.apply(&objects).await;
        rig.wait(60).await;
        let done = rig.kernel.take_log();
        assert!(!done.iter().any(|line| line.contains(WEB)), "{objects}\n{done:?}");
        // Changes of other objects still work.
        rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"])).await;
        rig.wait(1).await;
        assert_eq!(
            rig.kernel.take_log(),
            ["add real server 10.244.0.3:8080 to TCP 10.96.0.1:80"],
            "{objects}"
        );
        let said = log.take();
        let line = said.lines().find(|line| words.iter().all(|word| line.contains(word)));
        let line = line.unwrap_or_else(|| panic!("{words:?} in no line of:\n{said}\n{objects}"));
        assert!(line.contains("WARN") && line.len() < 500, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_good_of_a_bad_object_is_served() {
    let rig = started().await;
    let spec = "{clusterIPs: [10.96.0.66, nonsense], externalIPs: [nowhere, 192.0.2.1], \
                ports: [{name: a, port: 0}, {name: b, port: 81}]}";
    rig.apply(&bad_service(spec)).await;
    let done = rig.kernel.take_log();
    for wanted in ["bind 10.96.0.66", "bind 192.0.2.1", "add virtual server TCP 10.96.0.66:81 (rr)"]
    {
        assert!(done.contains(&wanted.to_owned()), "{wanted}: {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_of_20000_endpoints_holds_nobody_up() {
    let rig = started().await;
    let addresses: Vec<String> = (0..20_000)
        .map(|n: u32| format!("10.{}.{}.{}", 128 + n / 62_500, n / 250 % 250, n % 250))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    rig.apply(&(service("huge", "10.96.0.66") + &slice("huge", &addresses))).await;
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"])).await;
    rig.wait(60).await;
    let done = rig.kernel.take_log();
    let of_web: Vec<&String> = done.iter().filter(|line| line.contains(WEB)).collect();
    assert_eq!(of_web, ["add real server 10.244.0.3:8080 to TCP 10.96.0.1:80"]);
    let of_huge = done.iter().filter(|line| line.starts_with("add real server 10.128."));
    assert_eq!(of_huge.count(), 20_000);
}
