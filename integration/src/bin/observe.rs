//! `cargo xtask observe`: a real Prometheus scrapes two nodes with traffic, with the chart's rules, and
//! is asked every query of the dashboards.
//!
//! Fails if a query has no data. What each panel shows is printed as JSON, one line for each panel
//! after the word PANEL, for `deploy/chart/tests/picture.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

const PROMETHEUS: &str = "127.0.0.1:9090";
/// How long there is traffic, unless the first argument says otherwise, in seconds.
const DURATION: u64 = 90;
/// Seconds between two points of a panel.
const STEP: &str = "2";

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(DURATION), |text| text.parse())?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart");
    let node = NodeLayout { pods: 3, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node.clone(), node], clients: 1 })?;
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    let names = ServiceSpec::new("names", 2).port("dns", Protocol::Udp, 53, 5353);
    let orders = ServiceSpec::new("orders", 3)
        .port("api", Protocol::Tcp, 443, 8443)
        .annotation("trimtab.dev/max-connections", "many");
    cluster.publish(&web, &[(1, 1), (2, 1)])?;
    cluster.publish(&names, &[(1, 2), (2, 2)])?;
    cluster.publish(&orders, &[(2, 2)])?;
    let all: Vec<(u8, u8)> = (1..=2).flat_map(|node| (1..=3).map(move |pod| (node, pod))).collect();
    let _tcp = cluster.serve(&all, &[Protocol::Tcp], 8080)?;
    let _api = cluster.serve(&all, &[Protocol::Tcp], 8443)?;
    let _dns = cluster.serve(&all, &[Protocol::Udp], 5353)?;
    let config = "metricsBindAddress: 0.0.0.0:10249\nipvs: {syncPeriod: 5s}\n\
                  trimtab: {drainTimeout: 5s, traffic: {interval: 2s, namespaces: ['*'], \
                  endpoints: true}}";
    let proxies =
        [cluster.proxy(1).config(config).start()?, cluster.proxy(2).config(config).start()?];
    let here = cluster.topology.node(1).namespace();
    let targets = [1, 2].map(|node| {
        let address = cluster.topology.node(node).address(trimtab_core::Family::V4);
        format!("{address}:10249")
    });
    let prometheus = Prometheus::start(here, &chart, &targets)?;

    let began = Instant::now();
    let mut turn = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        for (from, times) in [(cluster.topology.pod(1, 3), 4), (cluster.topology.pod(2, 3), 2)] {
            for _ in 0..times {
                let _ = from.ask(Protocol::Tcp, web.at_v4(80));
                let _ = from.ask(Protocol::Udp, names.at_v4(53));
            }
            let _ = from.ask(Protocol::Tcp, orders.at_v4(443));
        }
        for proxy in &proxies {
            proxy.health("/healthz")?;
            proxy.health("/livez")?;
        }
        turn += 1;
        match turn % 20 {
            // Endpoints come and go; of what another program did, some is refused, some repaired.
            5 => change(&cluster, &web, &[(1, 1), (2, 1), (1, 2), (2, 3)])?,
            10 => {
                let vip = orders.at_v4(443).to_string();
                // It may not have been repaired since the last time.
                let _ = here.command("ipvsadm", ["-D", "-t", &vip]);
            }
            15 => change(&cluster, &web, &[(1, 1), (2, 1)])?,
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("{turn} turns of requests in {} s", began.elapsed().as_secs());
    ask_all(&prometheus, &chart, &targets[0])
}

/// Gives a Service these pods, and says when that began, as the EndpointSlice controller does.
fn change(cluster: &Cluster, service: &ServiceSpec, pods: &[(u8, u8)]) -> anyhow::Result<()> {
    let now = cluster.topology.node(1).namespace().command("date", ["-u", "+%FT%TZ"])?;
    let mut slices = service.slices(pods);
    for slice in &mut slices {
        slice["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] =
            now.trim().into();
    }
    cluster.apply_all(&slices)
}

/// Asks every query of every dashboard.
fn ask_all(prometheus: &Prometheus<'_>, chart: &Path, instance: &str) -> anyhow::Result<()> {
    let variables = BTreeMap::from([
        ("$__rate_interval", "20s"),
        ("$instance", instance),
        ("$namespace", "default"),
        ("$service", "web"),
        ("$port", "http"),
    ]);
    let mut empty = Vec::new();
    let mut asked = 0;
    for name in ["trimtab.json", "trimtab-node.json", "trimtab-service.json"] {
        let text = std::fs::read_to_string(chart.join("dashboards").join(name))?;
        let board: Value = serde_json::from_str(&text).with_context(|| name.to_owned())?;
        for panel in board["panels"].as_array().into_iter().flatten() {
            let mut found = Vec::new();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let mut query = target["expr"].as_str().context("a query")?.to_owned();
                for (variable, value) in &variables {
                    query = query.replace(variable, value);
                }
                asked += 1;
                let result = prometheus.range(&query)?;
                if result.as_array().is_none_or(Vec::is_empty) {
                    empty.push(format!("{name}: {}: {query}", panel["title"]));
                }
                found.push(json!({"legend": target["legendFormat"], "result": result}));
            }
            if !found.is_empty() {
                let unit = &panel["fieldConfig"]["defaults"]["unit"];
                let panel = json!({"dashboard": board["title"], "title": panel["title"],
                    "type": panel["type"], "unit": unit, "place": panel["gridPos"],
                    "targets": found});
                println!("PANEL {panel}");
            }
        }
    }
    println!("{asked} queries of dashboards, {} without data", empty.len());
    ensure!(empty.is_empty(), "without data:\n{}", empty.join("\n"));
    for rule in
        ["service:trimtab_service_connections:rate5m", "cluster:trimtab_node_connections:rate5m"]
    {
        let result = prometheus.range(rule)?;
        ensure!(result.as_array().is_some_and(|all| !all.is_empty()), "{rule} has no data");
    }
    println!("the recording rules have data");
    Ok(())
}

/// A Prometheus in a node's network.
struct Prometheus<'a> {
    namespace: &'a Namespace,
    child: Child,
    began: Duration,
    _folder: tempfile::TempDir,
}

impl<'a> Prometheus<'a> {
    fn start(namespace: &'a Namespace, chart: &Path, targets: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let rules: PathBuf = chart.join("rules/trimtab.yaml").canonicalize()?;
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "2s", "evaluation_interval": "5s"},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "trimtab", "static_configs": [{"targets": targets}]}],
        });
        let path = folder.path().join("prometheus.yaml");
        std::fs::write(&path, config.to_string())?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={PROMETHEUS}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = namespace.spawn(&mut command).context("Prometheus (Debian's package)")?;
        let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let this = Self { namespace, child, began, _folder: folder };
        eventually("two targets that are up", || {
            let up = this.ask("query", &[("query", "sum(up)".to_owned())]).ok();
            let value = up.and_then(|up| up[0]["value"][1].as_str().map(str::to_owned));
            Ok((value.as_deref() == Some("2")).then_some(()))
        })?;
        Ok(this)
    }

    /// The values of a query since the start.
    fn range(&self, query: &str) -> anyhow::Result<Value> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        self.ask(
            "query_range",
            &[
                ("query", query.to_owned()),
                ("start", self.began.as_secs().to_string()),
                ("end", now.as_secs().to_string()),
                ("step", STEP.to_owned()),
            ],
        )
    }

    fn ask(&self, what: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut arguments = vec!["-sSG".to_owned(), format!("http://{PROMETHEUS}/api/v1/{what}")];
        for (name, value) in parameters {
            arguments.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
        }
        let text = self.namespace.command("curl", &arguments)?;
        let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        ensure!(answer["status"] == "success", "{parameters:?}: {answer}");
        Ok(answer["data"]["result"].clone())
    }
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
