//! Errors outside of requests.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Refusal;

/// The server could not be started, fed or described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// There is no thread, or no runtime on it, to serve from.
    #[error("cannot start a thread to serve from: {0}")]
    Thread(#[source] std::io::Error),
    /// A manifest file or directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A manifest is not YAML or JSON.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why reading stopped.
        message: String,
    },
    /// An object in a manifest was refused.
    #[error("{}: {object}: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Kind and name of the object.
        object: String,
        /// Why.
        source: Refusal,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}
