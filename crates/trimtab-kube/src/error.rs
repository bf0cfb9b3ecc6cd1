//! Errors that end a source of objects, or prevent it from starting.

use std::path::PathBuf;

use crate::manifest;

/// Why objects cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kubeconfig could not be read.
    #[error("cannot read the kubeconfig {}: {source}", .path.display())]
    ReadKubeconfig {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: Box<kube::config::KubeconfigError>,
    },
    /// The kubeconfig names no usable server or credentials.
    #[error("cannot use the kubeconfig {}: {source}", .path.display())]
    UseKubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is neither a kubeconfig nor a pod's service account.
    #[error(
        "no kubeconfig is set (--kubeconfig, or clientConnection.kubeconfig in the \
         configuration) and this is not a pod with a service account: {0}"
    )]
    NoAccount(#[source] Box<kube::config::InClusterError>),
    /// The address given for the API server is not a URL.
    #[error("--master: {master:?} is not a URL: {source}")]
    Master {
        /// What was given.
        master: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// The API server is only reachable through a proxy.
    #[error(
        "the kubeconfig or the environment names a proxy for the API server, and proxies are not \
         supported: remove proxy-url, or add the server to NO_PROXY"
    )]
    Proxy,
    /// TLS or credentials cannot be set up.
    #[error("cannot set up the connection to the API server: {0}")]
    Connect(#[source] Box<kube::Error>),
    /// The folder of manifests cannot be watched.
    #[error("cannot watch the folder {}: {source}", .folder.display())]
    WatchFolder {
        /// The folder.
        folder: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The folder of manifests was deleted.
    #[error("the folder {} no longer exists", .0.display())]
    FolderGone(PathBuf),
    /// The manifests cannot be used.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
}
