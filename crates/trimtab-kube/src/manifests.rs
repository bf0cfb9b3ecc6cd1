//! Objects from a folder of manifests, read again when it changes: a node without a cluster.

use std::path::PathBuf;

use tokio::sync::mpsc::Sender;
use tracing::{error, info, warn};

use crate::folder::Watch;
use crate::manifest::{Manifest, read_paths};
use crate::objects::{NodeObject, NodeState};
use crate::{Arrival, Change, Error, Kind};

/// Reads the folder, and again whenever it changes, until the receiver is gone. If it cannot be
/// parsed, an error is logged and the previous state stays.
///
/// # Errors
/// When the folder cannot be watched, or cannot be read at the start.
pub async fn follow(
    folder: PathBuf,
    node_name: String,
    changes: Sender<Arrival>,
) -> Result<(), Error> {
    let mut watch = Watch::new(&folder)
        .map_err(|source| Error::WatchFolder { folder: folder.clone(), source })?;
    let manifest = read_paths(std::slice::from_ref(&folder))?;
    let mut open = send(manifest, &node_name, &changes).await;
    while open {
        if !watch.changed().await {
            return Err(Error::FolderGone(folder));
        }
        match read_paths(std::slice::from_ref(&folder)) {
            Ok(manifest) => {
                info!(folder = %folder.display(), "manifests changed, read again");
                open = send(manifest, &node_name, &changes).await;
            }
            Err(error) => error!(%error, "the changed manifests cannot be used: keeping the \
                previous ones"),
        }
    }
    Ok(())
}

/// Sends everything as complete lists; returns `false` if the receiver is gone.
async fn send(manifest: Manifest, node_name: &str, changes: &Sender<Arrival>) -> bool {
    for note in &manifest.notes {
        warn!("{note}");
    }
    let Manifest { services, slices, mut nodes, .. } = manifest;
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
    changes.send(Arrival::now(all)).await.is_ok()
}

/// Our Node in the manifests. A missing Node must not keep traffic away from this node.
fn node_state(node: Option<NodeObject>) -> NodeState {
    let state = node.and_then(|node| node.decoded.value);
    state.unwrap_or_else(|| NodeState { eligible: true, ..NodeState::default() })
}
