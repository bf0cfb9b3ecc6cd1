//! Objects from a folder of manifests, read again when it changes: a node without a cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify;
use tokio::sync::mpsc::{self, Sender};
use tracing::{error, info, warn};

use super::{Arrival, Change, Kind};
use crate::manifest::{Manifest, read_paths};

/// How long the folder must be quiet before it is read: editors and ConfigMap updates touch several
/// names in a row.
const QUIET: Duration = Duration::from_millis(50);

/// Reads the folder, and again whenever it changes, until the receiver is gone. A state that does
/// not parse is logged and the one before stays.
///
/// # Errors
/// When the folder cannot be watched, or cannot be read at the start.
pub async fn follow(
    folder: PathBuf,
    node_name: String,
    changes: Sender<Arrival>,
) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let mut watch = Watch::new(&folder)
        .with_context(|| format!("cannot watch the folder {}", folder.display()))?;
    let manifest = read_paths(std::slice::from_ref(&folder))?;
    let mut open = send(manifest, &node_name, &changes).await;
    while open {
        anyhow::ensure!(watch.changed().await, "the folder {} is gone", folder.display());
        match read_paths(std::slice::from_ref(&folder)) {
            Ok(manifest) => {
                info!(folder = %folder.display(), "manifests changed, read again");
                open = send(manifest, &node_name, &changes).await;
            }
            Err(error) => error!(%error, "manifests changed and cannot be used: keeping the last"),
        }
    }
    Ok(())
}

/// Sends everything as complete lists; `false` when nobody listens any more.
async fn send(manifest: Manifest, node_name: &str, changes: &Sender<Arrival>) -> bool {
    for note in &manifest.notes {
        warn!("{note}");
    }
    let Manifest { services, slices, mut nodes, .. } = manifest;
    let mut all = vec![Change::Begin(Kind::NodeWeights)];
    all.extend(nodes.values().map(|node| Change::NodeWeight(node.weight.clone())));
    all.push(Change::End(Kind::NodeWeights));
    all.push(Change::Begin(Kind::Node));
    all.push(Change::Node(nodes.remove(node_name).and_then(|node| node.decoded.value)));
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

/// A watch on the names in a folder.
pub(super) struct Watch {
    touched: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches from a thread of its own, which waits in the kernel and ends with the program.
    pub(super) fn new(folder: &Path) -> std::io::Result<Self> {
        let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let what = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVE
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&descriptor, folder, what)?;
        let (sender, touched) = mpsc::channel(1);
        std::thread::Builder::new().name("manifests".to_owned()).spawn(move || {
            let mut buffer = [0u8; 4096];
            // Any event means "look again", so one that waits already is enough.
            while rustix::io::read(&descriptor, &mut buffer).is_ok() {
                if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                    return;
                }
            }
        })?;
        Ok(Self { touched })
    }

    /// Waits for a change and then for quiet; `false` when there will be none any more.
    pub(super) async fn changed(&mut self) -> bool {
        let mut open = self.touched.recv().await.is_some();
        while open {
            match tokio::time::timeout(QUIET, self.touched.recv()).await {
                Ok(event) => open = event.is_some(),
                Err(_quiet) => break,
            }
        }
        open
    }
}
