//! Claiming the path of the socket.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::net::UnixListener;

/// For root, or whoever runs the daemon.
const SOCKET_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A listening socket, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Locked for as long as the socket is ours; the kernel unlocks it when the process ends, however
    /// it ends.
    _lock: File,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        // Another daemon would replace it; so may this one.
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens at `path`, in the place of a socket that a dead daemon left.
///
/// # Errors
/// If a living daemon has it, if it is something else than a socket, and if the folder, the lock or
/// the socket cannot be made.
pub(super) fn claim(path: &Path) -> anyhow::Result<Claimed> {
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(FOLDER_MODE).create(folder);
        made.with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let lock = lock(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).context("cannot remove the socket of a daemon that ended")?;
        }
        Ok(_) => bail!("it is not a socket"),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = UnixListener::bind(path).context("cannot listen")?;
    let claimed = Claimed { listener, path: path.to_owned(), _lock: lock };
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
        .context("cannot set its mode")?;
    Ok(claimed)
}

/// Of two daemons that look for a socket left behind at the same time, one would remove the other's
/// new one; and connecting to it to see whether somebody answers says nothing of a daemon that is busy.
fn lock(path: &Path) -> anyhow::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).mode(SOCKET_MODE).open(&name);
    let lock = opened.with_context(|| format!("cannot open {}", name.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("another Trimtab serves there"),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", name.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_owner_can_use_it_and_it_goes_with_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/trimtab.sock");
        let claimed = claim(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (SOCKET_MODE, FOLDER_MODE));
        UnixStream::connect(&path).unwrap();
        drop(claimed);
        assert!(!path.exists());
        claim(&path).unwrap();
    }

    #[tokio::test]
    async fn the_socket_of_a_living_daemon_is_left_alone_and_that_of_a_dead_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trimtab.sock");
        let claimed = claim(&path).unwrap();
        let error = claim(&path).unwrap_err();
        assert_eq!(error.to_string(), "another Trimtab serves there");
        UnixStream::connect(&path).unwrap();
        drop(claimed);
        // What is left after SIGKILL: the file without the process.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let _claimed = claim(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "dear diary").unwrap();
        assert_eq!(claim(&path).unwrap_err().to_string(), "it is not a socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear diary");
    }
}
