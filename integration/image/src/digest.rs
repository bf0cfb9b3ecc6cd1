//! Digests as OCI writes them.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

/// The SHA-256 of something as OCI writes it.
pub(crate) fn sha256(content: &[u8]) -> String {
    let digest = digest(&SHA256, content);
    digest.as_ref().iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
