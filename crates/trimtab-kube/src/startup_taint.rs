//! The taint that keeps pods off a node until it is served: whoever registers the node sets it, and
//! it is removed once the kernel holds what the cluster's objects ask for.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

/// The key of the taint.
pub const STARTUP_TAINT: &str = "trimtab.dev/not-ready";

/// How long to wait for what.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Between two looks at whether this node is ready.
    pub ready: Duration,
    /// After somebody else changed the Node at the same time.
    pub conflict: Duration,
    /// After any other failure: a missing permission does not come within seconds.
    pub failure: Duration,
    /// Between two looks at a Node without the taint: it may be registered again, with it.
    pub gone: Duration,
    /// For an answer.
    pub answer: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            ready: Duration::from_secs(1),
            conflict: Duration::from_millis(200),
            failure: Duration::from_secs(60),
            gone: Duration::from_secs(5 * 60),
            answer: Duration::from_secs(10),
        }
    }
}

/// What a look at the Node led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Removed,
    NotThere,
    Conflict,
}

/// Removes the taint from this node whenever it is ready, until the task is dropped. A failure is
/// logged once and then only when it changes.
pub async fn remove_when_ready(
    client: Client,
    node_name: &str,
    is_ready: impl Fn() -> bool,
    waits: &Waits,
) {
    let nodes: Api<Node> = Api::all(client);
    let mut said = String::new();
    loop {
        while !is_ready() {
            tokio::time::sleep(waits.ready).await;
        }
        let outcome = tokio::time::timeout(waits.answer, remove(&nodes, node_name)).await;
        let wait = match outcome {
            Ok(Ok(outcome)) => {
                said.clear();
                match outcome {
                    Outcome::Removed => {
                        info!(taint = STARTUP_TAINT, "this node is ready: removed its taint");
                        waits.gone
                    }
                    Outcome::NotThere => waits.gone,
                    Outcome::Conflict => waits.conflict,
                }
            }
            Ok(Err(error)) => {
                complain(&mut said, &words(&error));
                waits.failure
            }
            Err(_) => {
                complain(&mut said, "the API server does not answer");
                waits.failure
            }
        };
        tokio::time::sleep(wait).await;
    }
}

fn complain(said: &mut String, why: &str) {
    if said == why {
        debug!(taint = STARTUP_TAINT, why, "the taint still cannot be removed");
        return;
    }
    warn!(
        taint = STARTUP_TAINT,
        why,
        "this node is ready, but its taint cannot be removed: pods are kept off it; trying again"
    );
    why.clone_into(said);
}

fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "Trimtab's account may not patch Nodes ({}): give it this right (chart values \
             config.trimtab.startupTaint, rbac.patchNodes), or set trimtab.startupTaint to false",
            status.message
        ),
        other => other.to_string(),
    }
}

async fn remove(nodes: &Api<Node>, node_name: &str) -> Result<Outcome, kube::Error> {
    // A list of one, because that is what the account may do anyway.
    let one = ListParams::default().fields(&format!("metadata.name={node_name}"));
    let Some(node) = nodes.list(&one).await?.items.pop() else { return Ok(Outcome::NotThere) };
    let Some(patch) = without_taint(&node) else { return Ok(Outcome::NotThere) };
    match nodes.patch(node_name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(Outcome::Removed),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Outcome::Conflict),
        Err(error) => Err(error),
    }
}

/// The merge patch that removes the taint and keeps all others; `None` if the Node does not have it.
///
/// A merge patch replaces the whole list, so the API server must refuse it if the Node has changed
/// since it was read: that is what `resourceVersion` in a patch does.
fn without_taint(node: &Node) -> Option<Value> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let others: Vec<&Taint> = taints.iter().filter(|taint| taint.key != STARTUP_TAINT).collect();
    if others.len() == taints.len() {
        return None;
    }
    Some(json!({
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "spec": {"taints": others},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_taint_is_removed_and_only_from_the_node_as_it_was_read() {
        let node = |taints: Value| -> Node {
            let metadata = json!({"name": "a", "resourceVersion": "7"});
            serde_json::from_value(json!({"metadata": metadata, "spec": {"taints": taints}}))
                .unwrap()
        };
        let other = json!({"key": "gpu", "value": "yes", "effect": "NoExecute"});
        let ours = json!({"key": STARTUP_TAINT, "effect": "NoSchedule"});
        assert_eq!(without_taint(&node(json!([other]))), None);
        assert_eq!(without_taint(&Node::default()), None);
        let patch = without_taint(&node(json!([ours, other]))).unwrap();
        let expected = json!({"metadata": {"resourceVersion": "7"}, "spec": {"taints": [other]}});
        assert_eq!(patch, expected);
    }
}
