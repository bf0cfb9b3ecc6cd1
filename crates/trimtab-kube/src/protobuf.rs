//! Reading protobuf: the wire format, and the frame that Kubernetes puts around its objects.
//!
//! A cursor over the bytes, which copies nothing: of an object of several kilobytes a few hundred
//! bytes are used.

mod envelope;
mod field;

pub(crate) use envelope::{MAGIC, WatchFrame, unwrap};
pub use field::Malformed;
pub(crate) use field::{Fields, Message, Value};
