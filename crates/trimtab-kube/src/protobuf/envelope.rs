//! What Kubernetes puts around objects in protobuf
//! (apimachinery: pkg/runtime/generated.proto, pkg/apis/meta/v1/generated.proto).

use super::field::{Malformed, Message, Value};

/// The bytes with which every object on its own begins.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

/// `runtime.Unknown`: an object, and what it is.
#[derive(Debug, Default)]
struct Unknown<'a> {
    raw: &'a [u8],
    is_encoded: bool,
}

impl<'a> Message<'a> for Unknown<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            2 => self.raw = value.bytes()?,
            3 => self.is_encoded = !value.bytes()?.is_empty(),
            _ => {}
        }
        Ok(())
    }
}

/// The object inside of its envelope.
///
/// # Errors
/// There is no envelope, or the object in it is encoded in some way.
pub(crate) fn unwrap(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let envelope = Unknown::decode(bytes.strip_prefix(MAGIC).ok_or(Malformed::Magic)?)?;
    if envelope.is_encoded { Err(Malformed::Encoded) } else { Ok(envelope.raw) }
}

/// `WatchEvent`.
#[derive(Debug, Default)]
pub(crate) struct WatchFrame<'a> {
    /// `ADDED` and so on.
    pub(crate) kind: &'a str,
    /// The object in its envelope.
    pub(crate) object: &'a [u8],
}

impl<'a> Message<'a> for WatchFrame<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.kind = value.text()?,
            2 => self.object = value.message::<RawExtension<'_>>()?.0,
            _ => {}
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct RawExtension<'a>(&'a [u8]);

impl<'a> Message<'a> for RawExtension<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.0 = value.bytes()?;
        }
        Ok(())
    }
}
