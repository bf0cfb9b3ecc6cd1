//! Kubernetes objects from files: YAML or JSON, several documents a file, lists of objects.

mod changes;
mod read;

use std::path::PathBuf;

pub use read::{Manifest, read_paths, read_text};

/// Errors in manifests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not YAML or JSON.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and what.
        message: String,
    },
    /// A field has a value of the wrong type.
    #[error("{path}: {kind} {name}: {field}: {message}")]
    Field {
        /// The file.
        path: String,
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}
