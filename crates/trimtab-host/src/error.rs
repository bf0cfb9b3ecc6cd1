//! Errors of this crate.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use trimtab_core::{Family, SetElement, SetType};
use trimtab_netlink::Error as NetlinkError;

use crate::capability::Capability;
use crate::ipset::{IpsetError, SetHeader};

/// A failed step, with its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A batch could not be sent to the kernel; it is unknown which part of it was applied.
    #[error("cannot send a batch of {what}: {source}")]
    Send {
        /// Of what.
        what: &'static str,
        /// The transport's error.
        source: NetlinkError,
    },
    /// A table of the kernel could not be read.
    #[error("cannot list the {what}: {source}")]
    List {
        /// Which.
        what: &'static str,
        /// The transport's error, or the kernel's.
        source: NetlinkError,
    },
    /// A network interface could not be looked up, created or deleted.
    #[error("cannot {step} interface {name}: {source}")]
    Link {
        /// What was to be done.
        step: &'static str,
        /// The interface.
        name: Box<str>,
        /// The kernel's error.
        source: NetlinkError,
    },
    /// An interface of another kind has the name of our dummy interface.
    #[error("interface {name} is {kind} interface, not a dummy: rename or delete it")]
    NotDummy {
        /// The interface.
        name: Box<str>,
        /// Its driver.
        kind: Box<str>,
    },
    /// Another program deleted an object while it was being changed.
    #[error("{0} was deleted while it was being changed")]
    Vanished(Box<str>),
    /// An address could not be bound or unbound.
    #[error("cannot {step} address {address} on the dummy interface: {source}")]
    Address {
        /// `add` or `delete`.
        step: &'static str,
        /// The address.
        address: IpAddr,
        /// The kernel's error.
        source: NetlinkError,
    },
    /// A local route could not be added or deleted.
    #[error("cannot {step} the local route to {vip}: {source}")]
    Route {
        /// `add` or `delete`.
        step: &'static str,
        /// The VIP.
        vip: IpAddr,
        /// The kernel's error.
        source: NetlinkError,
    },
    /// Address changes could not be subscribed to.
    #[error("cannot subscribe to address changes: {0}")]
    Monitor(#[source] io::Error),

    /// An ipset command failed.
    #[error("cannot {step} {set}: {source}")]
    Ipset {
        /// The command.
        step: &'static str,
        /// The set, or the other object concerned.
        set: Box<str>,
        /// The kernel's error.
        source: IpsetError,
    },
    /// An element of an ipset could not be added, deleted or tested.
    #[error("cannot {step} {element} in set {set}: {source}")]
    IpsetElement {
        /// `add`, `delete` or `test`.
        step: &'static str,
        /// The set.
        set: Box<str>,
        /// The element.
        element: SetElement,
        /// The kernel's error.
        source: IpsetError,
    },
    /// The kernel supports only other versions of the ipset protocol.
    #[error(
        "the kernel supports versions {oldest} to {newest} of the ipset protocol; 6 or 7 is needed"
    )]
    IpsetProtocol {
        /// Its oldest.
        oldest: u8,
        /// Its newest.
        newest: u8,
    },
    /// The kernel supports only other revisions of a set type.
    #[error(
        "the kernel has revisions {oldest} to {newest} of ipset type {set_type}; Trimtab supports \
         none of them"
    )]
    IpsetType {
        /// The type.
        set_type: SetType,
        /// Its oldest.
        oldest: u8,
        /// Its newest.
        newest: u8,
    },
    /// A set of another type has the name, and rules refer to it, so it cannot be replaced.
    #[error(
        "set {set} is a {found} to which {references} rules or sets refer, and cannot become a \
         {wanted}: delete those rules, or the set"
    )]
    ForeignSet {
        /// The set.
        set: Box<str>,
        /// Its type and family.
        found: Box<str>,
        /// What it should be.
        wanted: Box<str>,
        /// How many rules and sets refer to it.
        references: u32,
    },
    /// The kernel's hash:ip,port,net sets cannot hold a network of all addresses.
    #[error("set {set} cannot hold {element}: a network's prefix must have at least one bit")]
    ZeroLengthNetwork {
        /// The set.
        set: Box<str>,
        /// The element.
        element: SetElement,
    },
    /// A set's name is too long for the kernel.
    #[error("{set} is not a valid set name: it has more than 31 bytes")]
    SetName {
        /// The name.
        set: Box<str>,
    },
    /// A set is full. The failure of another of its elements says why it could not grow.
    #[error("set {set} is full and could not be replaced by a larger one")]
    NoRoom {
        /// The set.
        set: Box<str>,
    },

    /// An option of the packet-filter rules is out of its range.
    #[error("{option} is {value:?}; it must be {must}")]
    RuleOption {
        /// The option.
        option: &'static str,
        /// What it is.
        value: Box<str>,
        /// What it must be.
        must: &'static str,
    },
    /// A program is not installed.
    #[error("cannot run {program}: {source}; {}", remedy(source))]
    Program {
        /// The program.
        program: Box<str>,
        /// The system's error.
        source: io::Error,
    },
    /// A program reported an error.
    #[error("{program} failed ({status}){}: {}", at_line(line.as_deref()), message.trim())]
    ProgramFailed {
        /// The program.
        program: Box<str>,
        /// Its exit status, in words.
        status: Box<str>,
        /// The line of its input that it rejected, if it named one.
        line: Option<Box<str>>,
        /// What it said.
        message: Box<str>,
    },
    /// A program needs a capability that this process does not have.
    #[error("{program} failed because {capability} is missing: {}: \
        {}", capability.needed_for(), message.trim())]
    ProgramCapability {
        /// The program.
        program: Box<str>,
        /// The capability.
        capability: Capability,
        /// What it said.
        message: Box<str>,
    },
    /// Another program held the packet filter's lock.
    #[error(
        "{program} waited {seconds} s for the iptables lock, which another program holds. Trimtab \
         retries; if this persists, look for a stuck iptables (fuser /run/xtables.lock)"
    )]
    Locked {
        /// The program.
        program: Box<str>,
        /// How long.
        seconds: u32,
    },

    /// A sysctl could not be read.
    #[error("cannot read sysctl {name}: {source}; {}", sysctl_remedy(name, source))]
    SysctlRead {
        /// Its name below /proc/sys.
        name: Box<str>,
        /// The system's error.
        source: io::Error,
    },
    /// A sysctl has the wrong value and could not be written.
    #[error(
        "sysctl {name} is {current}, must be {wanted} ({reason}), and cannot be written: {source}; \
         set it on the node (sysctl -w {name}={wanted}), run trimtab run --init-only in a \
         privileged container, or mount the host's /proc/sys outside /proc and set --sysctl-path"
    )]
    SysctlWrite {
        /// Its name below /proc/sys.
        name: Box<str>,
        /// Its value.
        current: Box<str>,
        /// The value it must have.
        wanted: Box<str>,
        /// Why it must.
        reason: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel's version is not known.
    #[error("cannot parse the kernel's version in {path}: {text:?}")]
    KernelVersion {
        /// Where it should be.
        path: Box<Path>,
        /// The file's content, or why it cannot be read.
        text: Box<str>,
    },
}

impl Error {
    pub(crate) fn link(step: &'static str, name: &str, source: NetlinkError) -> Self {
        Self::Link { step, name: name.into(), source }
    }

    pub(crate) fn ipset(step: &'static str, set: &str, source: NetlinkError) -> Self {
        Self::Ipset { step, set: set.into(), source: IpsetError::new(source) }
    }

    pub(crate) fn element(
        step: &'static str,
        set: &str,
        element: SetElement,
        source: IpsetError,
    ) -> Self {
        Self::IpsetElement { step, set: set.into(), element, source }
    }

    pub(crate) fn foreign_set(set: &str, header: &SetHeader, wanted: &str) -> Self {
        let family = match header.family {
            Some(Family::V4) => " inet",
            Some(Family::V6) => " inet6",
            None => "",
        };
        Self::ForeignSet {
            set: set.into(),
            found: format!("{}{family}", header.type_name).into(),
            wanted: wanted.into(),
            references: header.references,
        }
    }

    /// The error of the netlink transport or of the kernel, if there is one.
    pub fn netlink(&self) -> Option<&NetlinkError> {
        match self {
            Self::Send { source, .. }
            | Self::List { source, .. }
            | Self::Link { source, .. }
            | Self::Address { source, .. }
            | Self::Route { source, .. } => Some(source),
            Self::Ipset { source, .. } | Self::IpsetElement { source, .. } => {
                Some(source.netlink())
            }
            _ => None,
        }
    }

    fn ipset_error(&self) -> Option<&IpsetError> {
        match self {
            Self::Ipset { source, .. } | Self::IpsetElement { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the object to change does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Vanished(_)) || self.netlink().is_some_and(NetlinkError::is_not_found)
    }

    /// A program is not installed.
    pub fn is_no_program(&self) -> bool {
        matches!(self, Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// A capability is missing: `CAP_NET_ADMIN`, as a rule.
    pub fn is_not_permitted(&self) -> bool {
        match self {
            Self::ProgramCapability { .. } => true,
            Self::SysctlWrite { source, .. } | Self::Program { source, .. } => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            other => other.netlink().is_some_and(NetlinkError::is_not_permitted),
        }
    }

    /// Whether an ipset has no room for the element.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::NoRoom { .. }) || self.ipset_error().is_some_and(IpsetError::is_full)
    }

    /// Whether an element already existed when it was added, or was missing when it was deleted.
    pub fn is_repeat(&self) -> bool {
        self.ipset_error().is_some_and(IpsetError::is_repeat)
    }

    /// Whether an ipset has the wrong type.
    pub fn is_type_mismatch(&self) -> bool {
        matches!(self, Self::ForeignSet { .. })
            || self.ipset_error().is_some_and(IpsetError::is_type_mismatch)
    }

    /// Whether an ipset could not be destroyed because a rule or a set refers to it.
    pub fn is_busy(&self) -> bool {
        self.ipset_error().is_some_and(IpsetError::is_busy)
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "install the package iptables",
        io::ErrorKind::PermissionDenied => "run as root or with CAP_NET_ADMIN",
        _ => "try again",
    }
}

fn sysctl_remedy(name: &str, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound if name.contains("/vs/est_") || name.ends_with("_estimation") => {
            "it needs Linux 6.2 (est_*) or 5.19 (run_estimation)"
        }
        io::ErrorKind::NotFound if name.starts_with("net/ipv4/vs/") => {
            "load the kernel's IPVS (modprobe ip_vs)"
        }
        io::ErrorKind::NotFound if name.starts_with("net/netfilter/nf_conntrack") => {
            "load the kernel's connection tracking (modprobe nf_conntrack)"
        }
        io::ErrorKind::NotFound => "this kernel does not have it",
        _ => "let this process read /proc/sys",
    }
}

fn at_line(line: Option<&str>) -> String {
    line.map_or_else(String::new, |line| format!(" at the line {line:?}"))
}
