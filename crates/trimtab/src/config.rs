//! The configuration: kube-proxy's file and kube-proxy's flags, checked and put together.

mod file;
mod kernel;
mod networks;
mod resolve;
mod written;

pub use file::{ConfigFile, Notes, Period, parse};
pub use resolve::{Config, Detect, Overrides, VipBinding, resolve};
pub use written::written;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: std::path::PathBuf,
        /// Where and what.
        message: String,
    },
    /// A field or flag has a value that cannot be used.
    #[error("{field}: {message}")]
    Value {
        /// Path of the field in the file, or the flag.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    fn value(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value { field: field.into(), message: message.into() }
    }
}
