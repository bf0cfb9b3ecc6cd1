//! Errors of this crate.

use std::io;
use std::path::PathBuf;

use trimtab_core::Frontend;
use trimtab_netlink::Errno;

/// A failed step of the client. Refused operations of a batch are not an error: the
/// [`Report`](crate::Report) lists them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No netlink socket.
    #[error(transparent)]
    Open(trimtab_netlink::Error),
    /// The kernel could not be asked whether it has IPVS.
    #[error("cannot query the kernel for IPVS: {0}")]
    Resolve(#[source] trimtab_netlink::Error),
    /// The kernel has no IPVS, and its module could not be loaded.
    #[error("the kernel has no IPVS: {0}")]
    NoIpvs(#[from] ModuleError),
    /// A capability is missing: the kernel requires one even for reading.
    #[error(
        "not permitted to {0}: IPVS needs CAP_NET_ADMIN in the machine's own user namespace \
         (run as root, or give the container that capability and no user namespace of its own)"
    )]
    NotPermitted(Request),
    /// A request to read failed.
    #[error("cannot {request}: {source}")]
    Read {
        /// The object to read.
        request: Request,
        /// What happened.
        source: trimtab_netlink::Error,
    },
    /// No socket for [`OptionReader`](crate::OptionReader).
    #[error("cannot open a UDP socket to read IPVS by its options: {0}")]
    OpenOptions(#[source] io::Error),
    /// A request to read by a socket option failed.
    #[error("cannot {request} by a socket option: {source}")]
    ReadOption {
        /// The object to read.
        request: Request,
        /// What happened.
        source: io::Error,
    },
    /// A batch could not be sent or its answers not be read: it is unknown what was done.
    #[error("cannot apply a batch of IPVS operations: {0}")]
    Apply(#[source] trimtab_netlink::Error),
}

impl Error {
    /// The kernel's error number, where one is known.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Open(source)
            | Self::Resolve(source)
            | Self::Apply(source)
            | Self::Read { source, .. } => source.errno(),
            Self::NotPermitted(_) => Some(Errno(libc::EPERM)),
            Self::OpenOptions(source) | Self::ReadOption { source, .. } => {
                source.raw_os_error().map(Errno)
            }
            Self::NoIpvs(_) => None,
        }
    }

    /// Whether a capability is missing: to use IPVS, or to load its module.
    pub fn is_not_permitted(&self) -> bool {
        matches!(self, Self::NotPermitted(_) | Self::NoIpvs(ModuleError::NotPermitted { .. }))
            || self.errno().is_some_and(Errno::is_not_permitted)
    }
}

/// A request to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Operations.
    Apply,
    /// Version and table size.
    Info,
    /// Timeouts.
    Timeouts,
    /// All virtual servers.
    VirtualServers,
    /// One virtual server.
    VirtualServer(Frontend),
    /// The real servers of one virtual server.
    RealServers(Frontend),
    /// The sync daemons.
    SyncDaemons,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Apply => f.write_str("change IPVS"),
            Self::Info => f.write_str("read the version of IPVS"),
            Self::Timeouts => f.write_str("read the timeouts of IPVS"),
            Self::VirtualServers => f.write_str("read the virtual servers"),
            Self::VirtualServer(frontend) => write!(f, "read the virtual server {frontend}"),
            Self::RealServers(frontend) => write!(f, "read the real servers of {frontend}"),
            Self::SyncDaemons => f.write_str("read the sync daemons"),
        }
    }
}

/// Why the kernel module is not loaded; each message has the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The caller did not allow loading it.
    #[error("its module ip_vs is not loaded (run: modprobe ip_vs)")]
    NotLoaded,
    /// The program that loads modules is not installed.
    #[error(
        "no program {} to load the module ip_vs with (install kmod, or load the module on the \
         machine itself: modprobe ip_vs)", program.display()
    )]
    NoModprobe {
        /// What was looked for.
        program: PathBuf,
    },
    /// The program exists but cannot be started.
    #[error("cannot run {}: {source}", program.display())]
    Run {
        /// Which program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// This kernel has no such module, or its modules are not visible here.
    #[error(
        "kernel {release} has no module ip_vs in /lib/modules/{release} (install the package with \
         this kernel's modules; in a container, mount the machine's /lib/modules): {text}"
    )]
    NotFound {
        /// `uname -r`.
        release: String,
        /// What the program said.
        text: String,
    },
    /// A capability is missing, or the system allows no modules to be loaded any more.
    #[error(
        "not permitted to load the module ip_vs (needs CAP_SYS_MODULE; or load it on the machine \
         itself: modprobe ip_vs): {text}"
    )]
    NotPermitted {
        /// What the program said.
        text: String,
    },
    /// The program failed for another reason, such as a parameter that the module does not have.
    #[error("{} {arguments} failed ({status}): {text}", program.display())]
    Failed {
        /// Which program.
        program: PathBuf,
        /// How it was run.
        arguments: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        text: String,
    },
    /// The program succeeded, but the kernel still has no IPVS.
    #[error(
        "the module ip_vs was loaded, but the kernel still has no IPVS (was the module that \
         modprobe found built for this kernel?)"
    )]
    StillMissing,
}
