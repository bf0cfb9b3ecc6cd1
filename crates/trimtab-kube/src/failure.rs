//! Failures of requests to the API server.

use std::time::Duration;

use crate::protobuf::Malformed;

/// Why a list or a watch failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection could be established, or it broke.
    #[error("cannot reach it: {0}")]
    Unreachable(String),
    /// The connection is open but no data arrives.
    #[error("it has sent nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// An error response.
    #[error("it answers {code}: {message}")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// The `message` of the Status object, or the beginning of the body.
        message: String,
        /// How long the API server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the API documents.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
    /// A line of a watch is too long.
    #[error("a watch event is longer than {0} bytes")]
    TooLong(usize),
    /// A watch ends as soon as it has begun.
    #[error("it closes a watch immediately")]
    Brief,
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Failure {
    /// An error of the connection, with its causes: the outermost one rarely says what happened.
    pub(super) fn unreachable(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let inner = error.to_string();
            if !text.contains(&inner) {
                text = format!("{text}: {inner}");
            }
            cause = error.source();
        }
        Self::Unreachable(text)
    }

    /// Whether the requested revision or page has expired.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, Self::Refused { code: 410, .. })
    }

    /// How long the API server asks us to wait.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Refused { retry_after: Some(wait), .. } => *wait,
            _ => Duration::ZERO,
        }
    }

    /// The class of the failure: one log line for each class is enough.
    pub(crate) fn class(&self) -> String {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Brief => "unreachable".to_owned(),
            Self::Refused { code, .. } => code.to_string(),
            Self::Unreadable(_) | Self::TooLong(_) => "unreadable".to_owned(),
        }
    }
}
