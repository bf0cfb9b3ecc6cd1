//! Detects that the files of a folder have changed and are no longer being written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long the folder must be quiet before it is read: editors and ConfigMap updates touch several
/// names in a row.
const QUIET: Duration = Duration::from_millis(50);
/// How long to wait for a program that keeps a file open without writing to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened to a file in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// It is being written, and will be closed.
    Written,
    /// It is complete, or gone.
    Done,
    /// Unknown: events were lost because there were too many.
    Unknown,
}

/// Events of a folder since it was last read.
#[derive(Debug, Default)]
struct Touched {
    last: Option<Instant>,
    /// Files that are being written, each with the time of the last write.
    writing: BTreeMap<OsString, Instant>,
}

impl Touched {
    fn note(&mut self, name: OsString, event: Event, now: Instant) {
        self.last = Some(now);
        match event {
            Event::Written => drop(self.writing.insert(name, now)),
            Event::Done => drop(self.writing.remove(&name)),
            Event::Unknown => self.writing.clear(),
        }
    }

    /// When the folder can be read; `None` if nothing has changed.
    fn ready(&self) -> Option<Instant> {
        let quiet = self.last? + QUIET;
        let written = self.writing.values().max().map(|last| *last + PATIENCE);
        Some(written.map_or(quiet, |written| written.max(quiet)))
    }
}

/// A watch on the files of a folder.
pub struct Watch {
    events: mpsc::Receiver<(OsString, Event)>,
    touched: Touched,
}

impl Watch {
    /// Watches from a separate thread, which blocks in the kernel and ends with the program.
    ///
    /// # Errors
    /// inotify's errors, for example if the folder does not exist.
    pub fn new(folder: &Path) -> std::io::Result<Self> {
        let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let what = WatchFlags::CLOSE_WRITE
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::CREATE
            | WatchFlags::DELETE;
        inotify::add_watch(&descriptor, folder, what)?;
        let (sender, events) = mpsc::channel(256);
        let folder: PathBuf = folder.to_owned();
        std::thread::Builder::new().name("manifests".to_owned()).spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(descriptor, &mut buffer);
            while let Ok(event) = reader.next() {
                let name = event.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
                let name = std::ffi::OsStr::from_bytes(name).to_owned();
                let what = meaning(event.events(), || {
                    std::fs::symlink_metadata(folder.join(&name)).is_ok_and(|it| it.is_file())
                });
                if sender.blocking_send((name, what)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { events, touched: Touched::default() })
    }

    /// Waits for a change, then until writers are done, and then for a quiet period; returns
    /// `false` if there will be no more changes.
    pub async fn changed(&mut self) -> bool {
        loop {
            let event = match self.touched.ready() {
                None => self.events.recv().await,
                Some(ready) => match tokio::time::timeout_at(ready, self.events.recv()).await {
                    Ok(event) => event,
                    Err(_quiet) => {
                        self.touched = Touched::default();
                        return true;
                    }
                },
            };
            let Some((name, event)) = event else { return false };
            self.touched.note(name, event, Instant::now());
        }
    }
}

/// A file that was created or modified is open, and a CLOSE_WRITE will follow; a link is complete
/// at once.
fn meaning(events: ReadFlags, is_file: impl Fn() -> bool) -> Event {
    if events.contains(ReadFlags::QUEUE_OVERFLOW) {
        Event::Unknown
    } else if events.contains(ReadFlags::MODIFY)
        || events.contains(ReadFlags::CREATE) && !events.contains(ReadFlags::ISDIR) && is_file()
    {
        Event::Written
    } else {
        Event::Done
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_folder_is_read_when_all_who_write_are_done_or_have_paused_for_long() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut touched = Touched::default();
        assert_eq!(touched.ready(), None);
        touched.note("a".into(), Event::Written, at(0));
        touched.note("b".into(), Event::Written, at(10));
        touched.note("b".into(), Event::Done, at(20));
        assert_eq!(touched.ready(), Some(at(10_000)));
        touched.note("a".into(), Event::Written, at(3000));
        assert_eq!(touched.ready(), Some(at(13_000)));
        touched.note("a".into(), Event::Done, at(4000));
        assert_eq!(touched.ready(), Some(at(4050)));
        touched.note("a".into(), Event::Written, at(4010));
        touched.note("".into(), Event::Unknown, at(4020));
        assert_eq!(touched.ready(), Some(at(4070)));
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_not_read() {
        let folder = std::env::temp_dir().join(format!("trimtab-folder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut watch = Watch::new(&folder).unwrap();
        let mut slow = std::fs::File::create(folder.join("slow.yaml")).unwrap();
        slow.write_all(b"kind: Service\n").unwrap();
        // Another file is completed meanwhile.
        std::fs::write(folder.join("other.yaml"), "kind: Service\n").unwrap();
        let soon = Duration::from_millis(500);
        assert!(tokio::time::timeout(soon, watch.changed()).await.is_err(), "read too early");
        slow.write_all(b"---\nkind: Service\n").unwrap();
        drop(slow);
        let ended = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await;
        assert!(ended.expect("read once it is closed"));
        std::os::unix::fs::symlink("slow.yaml", folder.join("link.yaml")).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await;
        assert!(ended.expect("a link is there at once"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
