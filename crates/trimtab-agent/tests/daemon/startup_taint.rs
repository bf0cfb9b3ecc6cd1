//! The startup taint is removed once the node is ready, and no other taint is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use test_api::{ApiServer, Config, Fault, Resource, Verb};
use tokio::task::JoinHandle;
use trimtab_kube::startup_taint::{STARTUP_TAINT, Waits, remove_when_ready};
use trimtab_kube::watch::{Role, connect};

/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Tainted {
    api: ApiServer,
    is_ready: Arc<AtomicBool>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Tainted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn taint(key: &str) -> Value {
    json!({"key": key, "effect": "NoSchedule"})
}

fn node(taints: &[Value]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
        "spec": {"taints": taints},
    })
}

impl Tainted {
    /// A node that has our taint and another one, and is not ready.
    async fn start() -> Self {
        let api = ApiServer::start(Config::default()).await.unwrap();
        api.create(node(&[taint("gpu"), taint(STARTUP_TAINT)])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        api.write_kubeconfig(&kubeconfig).unwrap();
        let client = connect(Some(&kubeconfig), None, Role::NodeProxy).await.unwrap();
        let is_ready = Arc::new(AtomicBool::new(false));
        let ready = Arc::clone(&is_ready);
        let short = Duration::from_millis(10);
        let waits =
            Waits { ready: short, conflict: short, failure: short, gone: short, answer: PATIENCE };
        let task = tokio::spawn(async move {
            let is_ready = || ready.load(Ordering::SeqCst);
            remove_when_ready(client, "node-a", is_ready, &waits).await;
        });
        Self { api, is_ready, task, _folder: folder }
    }

    fn become_ready(&self) {
        self.is_ready.store(true, Ordering::SeqCst);
    }

    fn taints(&self) -> Vec<String> {
        let node = self.api.get(Resource::Nodes, "node-a").unwrap();
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.iter().map(|taint| taint["key"].as_str().unwrap().to_owned()).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, wait).await;
        assert!(reached.is_ok(), "{what}: {:?}", self.taints());
    }
}

#[tokio::test]
async fn the_taint_is_removed_once_the_node_is_ready_and_the_others_stay() {
    let node = Tainted::start().await;
    let requests = node.api.revision();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.taints(), ["gpu", STARTUP_TAINT]);
    assert_eq!(node.api.revision(), requests, "nothing is written before the node is ready");
    node.become_ready();
    node.until("the taint is removed", |node| node.taints() == ["gpu"]).await;
    // A Node that is registered again has it again.
    node.api.apply(self::node(&[taint(STARTUP_TAINT)])).unwrap();
    node.until("it is removed again", |node| node.taints().is_empty()).await;
}

#[tokio::test]
async fn a_taint_that_is_added_meanwhile_is_not_lost() {
    let node = Tainted::start().await;
    // The first patch reaches the API server's store after somebody else has changed the Node, whose
    // revision is another one then.
    node.api
        .inject(Fault::delay(Duration::from_secs(1)).on(Verb::Patch).of(Resource::Nodes).times(1));
    node.become_ready();
    node.until("a patch is on its way", |node| {
        node.api.counters().requests(Verb::Patch, Resource::Nodes) > 0
    })
    .await;
    node.api.apply(self::node(&[taint("gpu"), taint(STARTUP_TAINT), taint("disk")])).unwrap();
    node.until("the taint is removed", |node| node.taints() == ["gpu", "disk"]).await;
    // Others may come between read and write again and again.
    node.api.inject(Fault::status(409).on(Verb::Patch).of(Resource::Nodes).times(3));
    node.api.apply(self::node(&[taint(STARTUP_TAINT), taint("disk")])).unwrap();
    node.until("the taint is removed", |node| node.taints() == ["disk"]).await;
}

#[tokio::test]
async fn a_missing_right_leaves_the_taint_until_it_is_given() {
    let node = Tainted::start().await;
    node.api.inject(Fault::status(403).on(Verb::Patch).of(Resource::Nodes).times(5));
    node.become_ready();
    node.until("the taint is removed", |node| node.taints() == ["gpu"]).await;
}
