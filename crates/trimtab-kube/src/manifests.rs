//! Objects from a folder of manifests, read again when it changes: a node without a cluster.

use std::path::PathBuf;

use tokio::sync::mpsc::Sender;
use tracing::{error, info, warn};

use crate::folder::Watch;
use crate::manifest::{Manifest, read_paths};
use crate::{Arrival, Error};

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
    changes.send(Arrival::now(manifest.into_changes(node_name))).await.is_ok()
}
