//! Reading protobuf: the wire format, and the frame that Kubernetes puts around its objects.
//!
//! A cursor over the bytes, which copies nothing: of an object of several kilobytes a few hundred
//! bytes are used. The borrowed texts go into the same `Wire` values as those of JSON. Messages that
//! prost derives, which own their texts, and a conversion of them took about a fifth longer for a
//! slice of 10 endpoints (4.1 instead of 3.5 µs on a busy host); JSON takes more than twice as long
//! (`cargo bench -p trimtab-bench --bench codec`).

mod envelope;
mod field;

pub(crate) use envelope::{MAGIC, WatchFrame, unwrap};
pub use field::Malformed;
pub(crate) use field::{Fields, Message, Value};
