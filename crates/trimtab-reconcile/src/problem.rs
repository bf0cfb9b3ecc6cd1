//! What is wrong with an object, for the people who own it.

use trimtab_core::objects::ObjectName;

/// All that one Service asks for and does not get, now; empty once it gets everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProblems {
    /// Which Service.
    pub service: ObjectName,
    /// Its uid, for Events; empty if the Service is gone.
    pub uid: Box<str>,
    /// What it does not get.
    pub found: Vec<Problem>,
}

/// Something that a Service asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem.
    pub reason: Reason,
    /// The field and what is wrong with it, in words.
    pub message: String,
}

/// The kinds of problems; also the `reason` of the Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A VIP that cannot be served (loopback, link-local, unspecified or multicast), or that
    /// `trimtab.externalIPs` forbids.
    RefusedAddress,
    /// Another Service has the frontend: by a stronger kind of claim (cluster IP before load-balancer
    /// IP before node port before external IP), or by the same kind and greater age.
    FrontendConflict,
    /// Its ports and addresses make more frontends than one Service may have.
    TooManyFrontends,
    /// Every firewall mark is taken, so clients inside the cluster are served like those outside.
    NoMarkLeft,
    /// The kernel has refused something for it several times in a row, or lacks its scheduler.
    KernelRefused,
}

impl Reason {
    /// The word used in Events and metrics, such as `FrontendConflict`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedAddress => "RefusedAddress",
            Self::FrontendConflict => "FrontendConflict",
            Self::TooManyFrontends => "TooManyFrontends",
            Self::NoMarkLeft => "NoMarkLeft",
            Self::KernelRefused => "KernelRefused",
        }
    }
}
