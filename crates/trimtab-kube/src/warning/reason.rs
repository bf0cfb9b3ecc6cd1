//! The kinds of warnings.

use crate::objects::FieldProblem;

/// The kinds of warnings: `reason` of the Event, label of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningReason {
    /// A VIP that cannot be served.
    RefusedAddress,
    /// Another Service has the frontend.
    FrontendConflict,
    /// A Trimtab annotation with an invalid value.
    InvalidAnnotation,
    /// Any other field with an invalid value.
    InvalidValue,
    /// More frontends than one Service may have.
    TooManyFrontends,
    /// No firewall mark is left for the view of clients inside the cluster.
    NoMarkLeft,
    /// The kernel has refused something several times in a row.
    KernelRefused,
    /// A health-check node port on which the program cannot listen.
    HealthCheckPort,
}

impl WarningReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FrontendConflict,
        Self::RefusedAddress,
        Self::InvalidAnnotation,
        Self::InvalidValue,
        Self::TooManyFrontends,
        Self::NoMarkLeft,
        Self::KernelRefused,
        Self::HealthCheckPort,
    ];

    /// What it means, for the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::RefusedAddress => {
                "A VIP is loopback, link-local, multicast or unspecified. It is not served; the \
                 rest of the Service is."
            }
            Self::FrontendConflict => {
                "Another Service has the same address, protocol and port, and takes precedence. \
                 This one takes over when that one gives it up."
            }
            Self::InvalidAnnotation => {
                "A Trimtab annotation on a Service, an EndpointSlice or a Node has an invalid \
                 value. It is ignored."
            }
            Self::InvalidValue => {
                "Another field of the Service or of one of its EndpointSlices has an invalid \
                 value. The rest of the object is used."
            }
            Self::TooManyFrontends => {
                "The Service has more frontends (addresses times ports) than one Service may \
                 have. Those beyond the limit are not served."
            }
            Self::NoMarkLeft => {
                "The Service has external traffic policy Local, and all firewall marks are in \
                 use. Clients inside the cluster reach the endpoints on their own node only, as \
                 clients \
                 outside do."
            }
            Self::KernelRefused => {
                "The kernel has refused an object three times in a row, for example because it \
                 lacks the scheduler. Trimtab retries with exponential back-off."
            }
            Self::HealthCheckPort => {
                "This node cannot listen on the Service's health-check node port. Trimtab retries \
                 every 5 seconds."
            }
        }
    }

    /// The word in Events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedAddress => "RefusedAddress",
            Self::FrontendConflict => "FrontendConflict",
            Self::InvalidAnnotation => "InvalidAnnotation",
            Self::InvalidValue => "InvalidValue",
            Self::TooManyFrontends => "TooManyFrontends",
            Self::NoMarkLeft => "NoMarkLeft",
            Self::KernelRefused => "KernelRefused",
            // kube-proxy's name for it.
            Self::HealthCheckPort => "FailedToStartServiceHealthcheck",
        }
    }

    /// The `action` of the Event.
    pub const fn action(self) -> &'static str {
        match self {
            Self::RefusedAddress => "BindAddress",
            Self::FrontendConflict | Self::TooManyFrontends | Self::NoMarkLeft => "ClaimFrontend",
            Self::InvalidAnnotation | Self::InvalidValue => "ReadObject",
            Self::KernelRefused => "ProgramKernel",
            Self::HealthCheckPort => "Listen",
        }
    }

    /// Whether each node has an Event of its own. Other problems follow from the objects, or from
    /// the kernel version that nodes have in common, so many nodes find the same.
    pub(crate) const fn is_of_this_node(self) -> bool {
        matches!(self, Self::HealthCheckPort)
    }
}

impl From<&FieldProblem> for WarningReason {
    fn from(problem: &FieldProblem) -> Self {
        if problem.field.starts_with("metadata.annotations") {
            Self::InvalidAnnotation
        } else {
            Self::InvalidValue
        }
    }
}
