//! The server's error responses.

use serde_json::{Value, json};

use super::Resource;

/// Why a request was refused; serialises to the `Status` object that a client receives
/// (staging/src/k8s.io/apimachinery/pkg/api/errors in Kubernetes).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No object has that name.
    #[error("{} \"{name}\" not found", .resource.qualified())]
    NotFound {
        /// The kind asked for.
        resource: Resource,
        /// The name asked for.
        name: String,
    },
    /// Nothing is served at this path.
    #[error("the server could not find the requested resource")]
    NotServed,
    /// The name is taken.
    #[error("{} \"{name}\" already exists", .resource.qualified())]
    AlreadyExists {
        /// The kind to be created.
        resource: Resource,
        /// The name that is taken.
        name: String,
    },
    /// The object is not the one that the client has seen.
    #[error("Operation cannot be fulfilled on {} \"{name}\": {reason}", .resource.qualified())]
    Conflict {
        /// The kind to be written.
        resource: Resource,
        /// The object to be written.
        name: String,
        /// Which precondition does not hold.
        reason: String,
    },
    /// The requested revision has been compacted.
    #[error("too old resource version: {wanted} ({oldest})")]
    Expired {
        /// The revision asked for.
        wanted: u64,
        /// The oldest revision that can still be served.
        oldest: u64,
    },
    /// The client requests a future revision.
    #[error("Too large resource version: {wanted}, current: {current}")]
    TooLarge {
        /// The revision asked for.
        wanted: u64,
        /// The newest one.
        current: u64,
    },
    /// The request is malformed.
    #[error("{0}")]
    BadRequest(String),
    /// The object or the options contradict themselves.
    #[error("{0}")]
    Invalid(String),
    /// The verb does not apply to this path.
    #[error("the server does not allow this method on the requested resource")]
    MethodNotAllowed,
    /// The server supports none of the formats that the client accepts.
    #[error("only the following media types are accepted: application/json")]
    NotAcceptable,
    /// The server does not support the format of the body.
    #[error(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    )]
    UnsupportedMediaType {
        /// The supported formats.
        accepted: &'static str,
    },
    /// The body is longer than an API server takes.
    #[error("limit is {limit} bytes")]
    TooLong {
        /// The most that is taken.
        limit: usize,
    },
    /// A fault that a test injected.
    #[error("{message}")]
    Injected {
        /// The HTTP status.
        code: u16,
        /// What the client reads.
        message: String,
        /// Seconds in the `Retry-After` header.
        retry_after: Option<u32>,
    },
}

impl Refusal {
    /// The HTTP status.
    pub fn code(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::NotFound { .. } | Self::NotServed => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists { .. } | Self::Conflict { .. } => 409,
            Self::Expired { .. } => 410,
            Self::TooLong { .. } => 413,
            Self::UnsupportedMediaType { .. } => 415,
            Self::Invalid(_) => 422,
            Self::TooLarge { .. } => 504,
            Self::Injected { code, .. } => *code,
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the object is there, but in another version or with the same name.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::AlreadyExists { .. })
    }

    /// Whether the revision asked for is compacted away.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Seconds after which the client may try again.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooLarge { .. } => Some(1),
            Self::Injected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "AlreadyExists",
            Self::TooLarge { .. } => "Timeout",
            _ => match self.code() {
                400 => "BadRequest",
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "NotFound",
                405 => "MethodNotAllowed",
                406 => "NotAcceptable",
                409 => "Conflict",
                410 => "Expired",
                413 => "RequestEntityTooLarge",
                415 => "UnsupportedMediaType",
                422 => "Invalid",
                429 => "TooManyRequests",
                500 => "InternalError",
                503 => "ServiceUnavailable",
                504 => "Timeout",
                _ => "",
            },
        }
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut details = match self {
            Self::NotFound { resource, name }
            | Self::AlreadyExists { resource, name }
            | Self::Conflict { resource, name, .. } => {
                json!({"name": name, "group": resource.group(), "kind": resource.plural()})
            }
            Self::TooLarge { .. } => json!({"causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }]}),
            _ => json!({}),
        };
        if let Some(seconds) = self.retry_after() {
            details["retryAfterSeconds"] = seconds.into();
        }
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.to_string(),
            "reason": self.reason(),
            "details": details,
            "code": self.code(),
        })
    }
}
