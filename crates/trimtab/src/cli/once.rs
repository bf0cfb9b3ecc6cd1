//! One-time actions of `trimtab run`, other than `--cleanup` and `--init-only`.

use std::path::Path;

use anyhow::Context as _;

use trimtab_config::{Config, written};

/// Writes the configuration to a file.
pub(super) fn write_config(config: &Config, path: &Path) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(&written(config))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
