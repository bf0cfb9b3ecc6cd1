//! What can go wrong with a topology.

use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;

use trimtab_core::Protocol;

/// A failed step, with what it was about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A namespace could not be opened or entered.
    #[error("cannot enter the network namespace {namespace}: {source}")]
    Enter {
        /// Its name.
        namespace: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program could not be started or talked to.
    #[error("cannot run {program}: {source}")]
    Start {
        /// Its name.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program ended with a status other than 0.
    #[error("{program} in {namespace}: {status}: {stderr}")]
    Failed {
        /// Its name and arguments.
        program: String,
        /// Where it ran.
        namespace: String,
        /// Its exit status.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// A kernel setting could not be made.
    #[error("cannot set {name} to {value} in {namespace}: {source}")]
    Sysctl {
        /// The path below /proc/sys.
        name: String,
        /// The value.
        value: String,
        /// Where.
        namespace: String,
        /// The system's error.
        source: io::Error,
    },
    /// A server could not listen.
    #[error("{name} cannot listen on {protocol} {address}: {source}")]
    Listen {
        /// The server's.
        name: String,
        /// The transport.
        protocol: Protocol,
        /// Where.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}
