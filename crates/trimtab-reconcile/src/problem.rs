//! What is wrong with an object, for the people who own it.

use crate::objects::ObjectName;

/// Something that a Service asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which Service.
    pub service: ObjectName,
    /// Its uid, for Events.
    pub uid: Box<str>,
    /// What kind of problem.
    pub reason: Reason,
    /// The field and what is wrong with it, in words.
    pub message: String,
}

/// The kinds of problems; also the `reason` of the Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A VIP that cannot be served: loopback, link-local, unspecified or multicast.
    RefusedAddress,
    /// Another, older Service has the frontend.
    FrontendConflict,
    /// A field or annotation whose value cannot be used.
    InvalidValue,
}

impl Reason {
    /// The word used in Events and metrics, such as `FrontendConflict`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefusedAddress => "RefusedAddress",
            Self::FrontendConflict => "FrontendConflict",
            Self::InvalidValue => "InvalidValue",
        }
    }
}
