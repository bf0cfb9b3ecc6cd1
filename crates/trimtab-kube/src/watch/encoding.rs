//! In which encoding objects come.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::frames::Frames;
use super::lines::Lines;
use super::watched::Watched;
use crate::failure::Failure;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

/// What is accepted of an API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Accepted {
    /// Protobuf, or JSON.
    #[default]
    Both,
    /// JSON.
    Json,
}

impl Accepted {
    /// The `Accept` header; `parameters` follow each of the types.
    pub(super) fn header(self, parameters: &str) -> String {
        match self {
            Self::Both => format!("{PROTOBUF}{parameters},{JSON}{parameters}"),
            Self::Json => format!("{JSON}{parameters}"),
        }
    }
}

impl Encoding {
    /// What an answer says that it is.
    ///
    /// # Errors
    /// Something else.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Self::Json) };
        let text = value.to_str().unwrap_or_default();
        let media_type = text.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case(PROTOBUF) {
            Ok(Self::Protobuf)
        } else if media_type.eq_ignore_ascii_case(JSON) {
            Ok(Self::Json)
        } else {
            Err(Failure::Unreadable(format!("its Content-Type is {text:?}")))
        }
    }

    /// Decodes an object without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    pub(super) fn object<K: Watched>(self, bytes: &[u8]) -> Result<K, Failure> {
        match self {
            Self::Json => Ok(serde_json::from_slice(bytes)?),
            Self::Protobuf => Ok(K::from_protobuf(bytes)?),
        }
    }
}

/// Splits a watch into its events.
#[derive(Debug)]
pub(super) enum Splitter {
    Lines(Lines),
    Frames(Frames),
}

impl Splitter {
    pub(super) fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Lines(Lines::default()),
            Encoding::Protobuf => Self::Frames(Frames::default()),
        }
    }

    /// One more piece.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if an event does not end.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Lines(lines) => lines.push(piece),
            Self::Frames(frames) => frames.push(piece),
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// What has arrived is none.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        match self {
            Self::Lines(lines) => Ok(lines.next()),
            Self::Frames(frames) => frames.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_how_an_answer_is_read() {
        let of = |text: &str| {
            Encoding::of(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())])).ok()
        };
        for (text, encoding) in [
            ("application/json", Some(Encoding::Json)),
            ("application/json;charset=utf-8", Some(Encoding::Json)),
            ("application/vnd.kubernetes.protobuf", Some(Encoding::Protobuf)),
            ("application/vnd.kubernetes.protobuf;stream=watch", Some(Encoding::Protobuf)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(of(text), encoding, "{text}");
        }
        assert_eq!(Encoding::of(&HeaderMap::new()).ok(), Some(Encoding::Json));
    }
}
