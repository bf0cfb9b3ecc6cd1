//! Objects from a folder of manifests, read again when it changes: a node without a cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Sender;
use tracing::{error, info, warn};

use super::{Change, Kind};
use crate::manifest::{Manifest, read_paths};
use crate::objects::FieldProblem;

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
    changes: Sender<Change>,
) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let watch = Watch::new(&folder)
        .with_context(|| format!("cannot watch the folder {}", folder.display()))?;
    let manifest = read_paths(std::slice::from_ref(&folder))?;
    let mut open = send(manifest, &node_name, &changes).await;
    while open {
        watch.changed().await.with_context(|| format!("watching {}", folder.display()))?;
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
async fn send(manifest: Manifest, node_name: &str, changes: &Sender<Change>) -> bool {
    for note in &manifest.notes {
        warn!("{note}");
    }
    let Manifest { services, slices, mut nodes, .. } = manifest;
    let mut all = vec![Change::Begin(Kind::Node)];
    all.push(Change::Node(nodes.remove(node_name).and_then(|node| node.decoded.value)));
    all.push(Change::End(Kind::Node));
    all.push(Change::Begin(Kind::Slices));
    for (path, slice) in slices {
        warn_of(&path, "EndpointSlice", &slice.decoded.name, &slice.decoded.problems);
        all.push(Change::Slice(Box::new(slice.decoded), slice.changed));
    }
    all.push(Change::End(Kind::Slices));
    all.push(Change::Begin(Kind::Services));
    all.extend(services.into_iter().map(|(_, one)| Change::Service(Box::new(one.decoded))));
    all.push(Change::End(Kind::Services));
    for change in all {
        if changes.send(change).await.is_err() {
            return false;
        }
    }
    true
}

fn warn_of(path: &str, kind: &str, name: &dyn std::fmt::Display, problems: &[FieldProblem]) {
    for problem in problems {
        warn!("{path}: {kind} {name}: {problem}");
    }
}

/// A watch on the names in a folder.
struct Watch {
    events: AsyncFd<std::os::fd::OwnedFd>,
}

impl Watch {
    fn new(folder: &Path) -> std::io::Result<Self> {
        let descriptor =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let what = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVE
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&descriptor, folder, what)?;
        Ok(Self { events: AsyncFd::new(descriptor)? })
    }

    /// Waits for a change and then for quiet.
    async fn changed(&self) -> std::io::Result<()> {
        self.next().await?;
        while let Ok(event) = tokio::time::timeout(QUIET, self.next()).await {
            event?;
        }
        Ok(())
    }

    async fn next(&self) -> std::io::Result<()> {
        let mut buffer = [0u8; 4096];
        loop {
            let mut ready = self.events.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?)) {
                Ok(read) => return read.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}
