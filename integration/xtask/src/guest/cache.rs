//! What guests keep between runs: `target/guest/`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo;

/// The folder `name` of the cache, made if it is not there.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("guest").join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
