//! Manifests as the changes that an API server would send for them.

use super::Manifest;
use crate::objects::{NodeObject, NodeState};
use crate::{Change, Kind};

impl Manifest {
    /// Complete lists of all objects, for the node of this name.
    pub fn into_changes(self, node_name: &str) -> Vec<Change> {
        let Self { services, slices, mut nodes, .. } = self;
        let mut all = vec![Change::Begin(Kind::NodeWeights)];
        all.extend(nodes.values().map(|node| Change::NodeWeight(node.weight.clone())));
        all.push(Change::End(Kind::NodeWeights));
        all.push(Change::Begin(Kind::Node));
        all.push(Change::Node(Some(node_state(nodes.remove(node_name)))));
        all.push(Change::End(Kind::Node));
        all.push(Change::Begin(Kind::Slices));
        for (_, slice) in slices {
            all.push(Change::Slice(Box::new(slice.decoded), slice.changed));
        }
        all.push(Change::End(Kind::Slices));
        all.push(Change::Begin(Kind::Services));
        all.extend(services.into_iter().map(|(_, one)| Change::Service(Box::new(one.decoded))));
        all.push(Change::End(Kind::Services));
        all
    }
}

/// Our Node in the manifests. A missing Node must not keep traffic away from this node.
fn node_state(node: Option<NodeObject>) -> NodeState {
    let state = node.and_then(|node| node.decoded.value);
    state.unwrap_or_else(|| NodeState { eligible: true, ..NodeState::default() })
}
