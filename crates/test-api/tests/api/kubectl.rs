//! The real `kubectl`. Where it is not installed these tests fail: they are run by asking for them.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use test_api::{ApiServer, Config, Cut, Fault, Resource, Verb};

use crate::client::service;

struct Kubectl {
    api: ApiServer,
    home: PathBuf,
}

impl Kubectl {
    fn start(test: &str) -> Self {
        let api = ApiServer::start_on_thread(Config::default()).expect("a loopback port is free");
        let home = std::env::temp_dir().join(format!("trimtab-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("a home for kubectl's cache");
        api.write_kubeconfig(&home.join("config")).expect("a kubeconfig");
        Self { api, home }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["30", "kubectl"])
            .args(arguments)
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("config"))
            .current_dir(&self.home);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("timeout (coreutils) runs")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
        );
        String::from_utf8(output.stdout).expect("kubectl prints UTF-8")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        serde_json::from_str(&self.run(&arguments)).expect("kubectl prints JSON")
    }

    /// A file in the directory that kubectl runs in.
    fn file(&self, name: &str, object: &Value) {
        std::fs::write(self.home.join(name), object.to_string()).expect("a manifest is written");
    }
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        // Only a temporary directory would be left behind.
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Columns of a line of a table.
fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
#[ignore = "needs kubectl"]
fn kubectl_shows_objects() {
    let kubectl = Kubectl::start("show");
    let mut web = service("web");
    web["spec"]["selector"] = json!({"app": "web"});
    kubectl.api.create(web).unwrap();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.7"], "conditions": {"ready": true}}],
        "ports": [{"port": 80, "protocol": "TCP", "name": ""}],
    });
    kubectl.api.create(slice).unwrap();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "web.1"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reason": "AddressInUse", "type": "Warning",
        "note": "10.96.0.1 belongs to another Service", "reportingController": "trimtab.dev/proxy",
        "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": "default", "name": "web"},
    });
    kubectl.api.create(event).unwrap();

    let table = kubectl.run(&["--server", &kubectl.api.url(), "get", "svc", "-A"]);
    let lines: Vec<_> = table.lines().map(columns).collect();
    assert_eq!(lines[0][..4], ["NAMESPACE", "NAME", "TYPE", "CLUSTER-IP"]);
    assert_eq!(lines[1][..4], ["default", "web", "ClusterIP", "10.96.0.1"]);
    assert!(kubectl.run(&["get", "svc", "-o", "wide"]).contains("app=web"));
    assert!(kubectl.run(&["get", "svc", "web", "-o", "yaml"]).contains("clusterIP: 10.96.0.1"));
    assert!(kubectl.run(&["get", "endpointslices"]).contains("10.244.0.7"));
    assert!(kubectl.run(&["get", "events"]).contains("service/web"));
    assert!(kubectl.run(&["events", "--for", "service/web"]).contains("AddressInUse"));
    let described = kubectl.run(&["describe", "svc", "web"]);
    assert!(described.contains("10.244.0.7:80"), "{described}");
    let selected = kubectl.json(&["get", "svc", "--field-selector", "metadata.name!=web"]);
    assert_eq!(selected["items"], json!([]));
    assert!(kubectl.run(&["api-resources"]).contains("endpointslices"));
}

#[test]
#[ignore = "needs kubectl"]
fn kubectl_creates_changes_and_deletes() {
    let kubectl = Kubectl::start("change");
    let port = |port: u16, name: &str| json!({"port": port, "name": name});
    let mut web = service("web");
    web["spec"]["ports"] = json!([port(80, "http"), port(443, "https")]);
    kubectl.file("web.json", &web);
    assert!(kubectl.run(&["create", "-f", "web.json", "--save-config"]).contains("created"));
    assert!(kubectl.run(&["apply", "-f", "web.json"]).contains("unchanged"));
    web["spec"]["ports"] = json!([port(8080, "alt"), port(80, "plain")]);
    kubectl.file("web.json", &web);
    assert!(kubectl.run(&["apply", "-f", "web.json"]).contains("configured"));
    let ports = kubectl.json(&["get", "svc", "web"])["spec"]["ports"].clone();
    assert_eq!(
        ports,
        json!([
            {"name": "alt", "port": 8080, "protocol": "TCP", "targetPort": 8080},
            {"name": "plain", "port": 80, "protocol": "TCP", "targetPort": 80},
        ])
    );
    kubectl.run(&["label", "svc", "web", "tier=front"]);
    kubectl.run(&["annotate", "svc", "web", "trimtab.dev/scheduler=lc"]);
    kubectl.run(&["patch", "svc", "web", "-p", r#"{"spec":{"sessionAffinity":"ClientIP"}}"#]);
    let merge = r#"{"metadata":{"labels":{"tier":null}}}"#;
    kubectl.run(&["patch", "svc", "web", "--type", "merge", "-p", merge]);
    let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}"#;
    kubectl.run(&["patch", "svc", "web", "--subresource", "status", "-p", status]);
    let object = kubectl.api.get(Resource::Services, "default/web").unwrap();
    assert_eq!(object["metadata"]["annotations"]["trimtab.dev/scheduler"], "lc");
    assert_eq!(object["metadata"]["labels"], Value::Null);
    assert_eq!(object["spec"]["sessionAffinity"], "ClientIP");
    assert_eq!(object["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");

    let mut replaced = service("web");
    replaced["spec"]["ports"] = json!([port(90, "new")]);
    kubectl.file("web.json", &replaced);
    kubectl.run(&["replace", "-f", "web.json"]);
    assert!(kubectl.run(&["delete", "svc", "web"]).contains("deleted"));
    let missing = kubectl.output(&["get", "svc", "web"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("NotFound"));
    kubectl.run(&["apply", "-f", "web.json"]);
    kubectl.run(&["delete", "svc", "--all"]);
    assert_eq!(kubectl.api.list(Resource::Services).len(), 0);
}

#[test]
#[ignore = "needs kubectl"]
fn kubectl_watches() {
    let kubectl = Kubectl::start("watch");
    kubectl.api.create(service("web")).unwrap();
    let arguments = ["get", "svc", "-w", "--output-watch-events", "--request-timeout", "3s"];
    let watching =
        kubectl.command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_open = kubectl.api.until(|counters| counters.watches_open(Resource::Services) == 1);
    runtime.block_on(crate::client::within(is_open));
    kubectl.api.create(service("late")).unwrap();
    kubectl.api.delete(Resource::Services, "default/web").unwrap();
    let output = watching.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = output.lines().map(|line| columns(line)[..2].to_vec()).collect();
    assert_eq!(lines, [["EVENT", "NAME"], ["ADDED", "web"], ["ADDED", "late"], ["DELETED", "web"]]);
}

/// `kubectl wait` runs client-go's informer, which streams its list if told to.
#[test]
#[ignore = "needs kubectl"]
fn a_client_go_informer_follows_resumes_and_lists_again() {
    let lists = |kubectl: &Kubectl| kubectl.api.counters().requests(Verb::List, Resource::Services);
    let watches =
        |kubectl: &Kubectl| kubectl.api.counters().requests(Verb::Watch, Resource::Services);
    for (streams, gone) in [(false, Fault::gone()), (true, Fault::status(410).on(Verb::Watch))] {
        let kubectl = Kubectl::start(if streams { "stream" } else { "list" });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let await_watch = |times| {
            let is_open = kubectl.api.until(|counters| {
                counters.requests(Verb::Watch, Resource::Services) == times
                    && counters.watches_open(Resource::Services) == 1
            });
            runtime.block_on(crate::client::within(is_open));
        };
        kubectl.api.create(service("web")).unwrap();
        let condition = "--for=jsonpath={.spec.sessionAffinity}=ClientIP";
        let mut waiting = kubectl
            .command(&["wait", condition, "svc/web", "--timeout=20s"])
            .env("KUBE_FEATURE_WatchListClient", streams.to_string())
            .spawn()
            .unwrap();
        await_watch(1);
        let (listed, listed_by_watch) = (u64::from(!streams), u64::from(streams));
        assert_eq!(lists(&kubectl), listed);
        // client-go takes a watch that ends at once, with nothing said, for a failed one.
        let say_something = |text: &str| {
            let mut object = service("web");
            object["metadata"]["labels"] = json!({"said": text});
            kubectl.api.apply(object).unwrap();
            // The Service was created at revision 2, and each write since is an event.
            let sent = kubectl.api.revision() - 2 + listed_by_watch;
            let is_sent = kubectl.api.until(|c| c.events_sent(Resource::Services) == sent);
            runtime.block_on(crate::client::within(is_sent));
        };
        say_something("first");
        kubectl.api.drop_watches(Cut::Clean);
        await_watch(2);
        assert_eq!(lists(&kubectl), listed, "resumed");
        say_something("second");
        kubectl.api.inject(gone.times(1));
        kubectl.api.drop_watches(Cut::Clean);
        await_watch(4);
        assert_eq!(lists(&kubectl), 2 * listed, "listed again");
        let mut sticky = service("web");
        sticky["spec"]["sessionAffinity"] = "ClientIP".into();
        kubectl.api.apply(sticky).unwrap();
        assert!(waiting.wait().unwrap().success());
        assert_eq!(watches(&kubectl), 4);
    }
}
