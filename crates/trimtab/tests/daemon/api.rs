//! The daemon as a client of the Kubernetes API, faults included.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use trimtab::source;
use trimtab_integration::api::{
    ApiServer, Cluster, Config, Cut, EndpointChange, Fault, Gone, Resource, Verb,
};

use crate::kernel::{FakeKernel, Inside};
use crate::rig::Rig;

/// Longer than any of this takes, so that a test that waits in vain says so.
const PATIENCE: Duration = Duration::from_secs(60);

struct Linked {
    api: ApiServer,
    rig: Rig,
    _folder: Folder,
}

/// A folder for a kubeconfig, gone when dropped.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn linked(test: &str, services: usize, endpoints: usize) -> Linked {
    let api = ApiServer::start(Config::default()).await.unwrap();
    api.load(&Cluster::synthetic(services, endpoints, 1));
    let folder = std::env::temp_dir().join(format!("trimtab-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kubeconfig = folder.join("kubeconfig");
    api.write_kubeconfig(&kubeconfig).unwrap();
    let rig = Rig::start(FakeKernel::default(), "");
    let client = source::connect(Some(&kubeconfig), None).await.unwrap();
    tokio::spawn(source::watch(client, "node-a", rig.changes.clone()));
    Linked { api, rig, _folder: Folder(folder) }
}

impl Linked {
    /// Waits until the kernel is as `wanted` says.
    async fn until(&self, what: &str, wanted: impl Fn(&Inside) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, async {
            while !wanted(&self.rig.kernel.inside()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(reached.await.is_ok(), "never: {what}");
    }

    /// Waits until the kernel has these VIPs.
    async fn until_vips(&self, wanted: &[&str]) {
        let wanted: BTreeSet<std::net::IpAddr> =
            wanted.iter().map(|address| address.parse().unwrap()).collect();
        self.until(&format!("{wanted:?}"), |inside| inside.state.addresses == wanted).await;
    }

    fn create(&self, name: &str, ip: &str) {
        self.api
            .apply(json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"clusterIP": ip, "ports": [{"port": 80, "protocol": "TCP"}]},
            }))
            .unwrap();
    }
}

#[tokio::test]
async fn everything_listed_is_programmed_page_by_page() {
    let linked = linked("pages", 1200, 3).await;
    linked.until("all", |inside| inside.state.virtual_servers.len() == 1200).await;
    linked
        .until("all real servers", |inside| {
            inside.state.virtual_servers.values().all(|server| server.real_servers.len() == 3)
        })
        .await;
    assert!(linked.api.counters().requests(Verb::List, Resource::Services) >= 3);
}

#[tokio::test]
async fn one_changed_endpoint_among_1000_services_is_one_operation() {
    let linked = linked("one", 1000, 3).await;
    linked.until("all", |inside| inside.state.virtual_servers.len() == 1000).await;
    linked.until("ready", |_| linked.rig.health.readyz().ok).await;
    linked.rig.kernel.take_log();
    let (slice, index) = Cluster::slice(500, 1);
    linked.api.change_endpoint(&slice, &EndpointChange::Remove { index }).unwrap();
    linked.until("one operation", |inside| !inside.log.is_empty()).await;
    linked.rig.settle().await;
    let log = linked.rig.kernel.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("drain real server"), "{log:?}");
}

#[tokio::test]
async fn objects_come_and_go() {
    let linked = linked("come", 0, 0).await;
    linked.create("web", "10.96.7.1");
    linked.until_vips(&["10.96.7.1"]).await;
    linked.create("shop", "10.96.7.2");
    linked.until_vips(&["10.96.7.1", "10.96.7.2"]).await;
    linked.api.delete(Resource::Services, "default/web").unwrap();
    linked.until_vips(&["10.96.7.2"]).await;
    // Handing a Service to another proxy takes it out of the watch.
    linked
        .api
        .apply(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "shop",
                "namespace": "default",
                "labels": {"service.kubernetes.io/service-proxy-name": "other"},
            },
            "spec": {"clusterIP": "10.96.7.2", "ports": [{"port": 80, "protocol": "TCP"}]},
        }))
        .unwrap();
    linked.until_vips(&[]).await;
}

#[tokio::test]
async fn a_deletion_missed_while_the_watch_was_down_is_learned_from_the_next_list() {
    for gone in [Gone::Status, Gone::Event] {
        let linked = linked("missed", 0, 0).await;
        linked.create("web", "10.96.7.1");
        linked.create("shop", "10.96.7.2");
        linked.until_vips(&["10.96.7.1", "10.96.7.2"]).await;
        linked.api.answer_stale_watches_by(gone);
        linked.api.inject(Fault::status(500).on(Verb::Watch).times(2));
        linked.api.drop_watches(Cut::Abort);
        linked.api.delete(Resource::Services, "default/web").unwrap();
        linked.create("new", "10.96.7.3");
        linked.api.compact(linked.api.revision());
        linked.until_vips(&["10.96.7.2", "10.96.7.3"]).await;
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_changes_nothing() {
    let linked = linked("outage", 10, 2).await;
    linked.until("ready", |_| linked.rig.health.readyz().ok).await;
    linked.rig.kernel.take_log();
    linked.api.inject(Fault::status(500).times(6));
    linked.api.drop_watches(Cut::Clean);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(linked.rig.kernel.take_log().is_empty());
    linked.create("web", "10.96.7.1");
    let vip: std::net::IpAddr = "10.96.7.1".parse().unwrap();
    linked.until("the new VIP", |inside| inside.state.addresses.contains(&vip)).await;
    assert_eq!(linked.rig.kernel.inside().state.virtual_servers.len(), 11);
}
