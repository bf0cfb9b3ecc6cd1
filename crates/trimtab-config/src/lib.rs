//! The configuration: kube-proxy's file and flags, merged and checked.

mod admin_socket;
mod complaint;
mod fields;
mod file;
mod kernel;
mod key;
mod lines;
mod log_format;
mod networks;
mod period;
mod resolve;
mod settings;
mod traffic;
mod written;

pub use complaint::{Complaint, Complaints, Origin};
pub use fields::fields;
pub use file::{ConfigFile, parse};
pub use key::Field;
pub use log_format::LogFormat;
pub use period::Period;
pub use resolve::{Config, Overrides, resolve};
pub use traffic::TrafficOptions;
pub use written::{flags_in_force, written};

/// Oddities of a configuration that can be used nevertheless.
pub type Notes = Vec<String>;

/// Why a configuration cannot be used.
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
    /// The file is not valid YAML or JSON, or is of another kind.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: std::path::PathBuf,
        /// Where and what.
        message: String,
    },
    /// Fields or flags have invalid values.
    #[error("{0}")]
    Values(Complaints),
}
