//! What guests keep between runs: `target/guest/`.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder `name` of the cache, made if it is not there.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    // This program is target/PROFILE/xtask, wherever the target folder has been put.
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let target = program.ancestors().nth(2).context("this program is not in a target folder")?;
    let folder = target.join("guest").join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
