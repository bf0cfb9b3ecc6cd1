//! What can fail where the kernel is prepared or read.

use std::path::PathBuf;

use trimtab_core::SetId;
use trimtab_host::capability::Capability;

/// Why the kernel could not be opened, prepared or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process may not do what the program needs.
    #[error("this process lacks {0}: {needed}", needed = .0.needed_for())]
    Capability(Capability),
    /// The configured place of the sysctls is none.
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
    /// An ipset cannot be made or taken over.
    #[error("cannot have ipset {set}: {source}")]
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
    /// Sets, rules, addresses, sysctls.
    #[error(transparent)]
    Host(#[from] trimtab_host::Error),
}
