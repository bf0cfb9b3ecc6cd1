//! Errors of opening, preparing and reading the kernel.

use std::path::PathBuf;

use trimtab_core::SetId;
use trimtab_host::capability::Capability;

/// Why the kernel could not be opened, prepared or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process lacks a capability.
    #[error("this process lacks {0}: {needed}", needed = .0.needed_for())]
    Capability(Capability),
    /// The configured path of the sysctls is not a directory.
    #[error(
        "trimtab.sysctlPath: {} is not a directory; in a container, mount the host's /proc/sys there",
        .0.display()
    )]
    SysctlPath(PathBuf),
    /// The rules need the node's pod networks, and the Node object has none.
    #[error(
        "detectLocalMode is NodeCIDR, and the Node object has no spec.podCIDRs: use another \
         detectLocalMode, or let the controller manager allocate pod networks"
    )]
    NoPodNetworks,
    /// An ipset cannot be created or adopted.
    #[error("cannot create ipset {set}: {source}")]
    Set {
        /// The set.
        set: SetId,
        /// What happened.
        source: trimtab_host::Error,
    },
    /// This host's own addresses cannot be listed.
    #[error("cannot list this host's addresses: {0}")]
    LocalAddresses(#[source] trimtab_host::Error),
    /// No netlink socket.
    #[error(transparent)]
    Socket(#[from] trimtab_netlink::Error),
    /// IPVS.
    #[error(transparent)]
    Ipvs(#[from] trimtab_ipvs::Error),
    /// An error with sets, rules, addresses or sysctls.
    #[error(transparent)]
    Host(#[from] trimtab_host::Error),
}
