//! Room in the kernel's table of tracked connections.
//!
//! A connection that was reset is tracked for 10 s more, so a run of seconds keeps all of its own.
//! When the table is full, the kernel drops new connections, and that would be what is measured.

use anyhow::{Context, Result, ensure};

/// The most connections that a namespace may have; only the first namespace can set it.
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Makes sure that `connections` have room in each namespace.
///
/// # Errors
/// When there is no room for them, and the limit cannot be raised.
pub fn make_room(connections: usize) -> Result<()> {
    // A kernel without it tracks nothing.
    let Ok(text) = std::fs::read_to_string(MAX) else { return Ok(()) };
    let most: usize = text.trim().parse().with_context(|| format!("{MAX}: {text:?}"))?;
    if most >= connections {
        return Ok(());
    }
    let written = std::fs::write(MAX, connections.to_string());
    ensure!(
        written.is_ok(),
        "connection tracking has room for {most} connections, {connections} are needed, and \
         {MAX} cannot be set here: take fewer --rounds or --connections"
    );
    Ok(())
}
