//! The commit, and the time that everything in the image is dated with.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::guest::packages::output;

/// The folder of the workspace.
pub(super) fn root() -> Result<PathBuf> {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(package.ancestors().nth(2).context("this package is not in a workspace")?.to_owned())
}

/// Seconds since 1970: SOURCE_DATE_EPOCH, else the time of the commit.
/// <https://reproducible-builds.org/specs/source-date-epoch/>
pub(super) fn epoch() -> Result<u64> {
    let given = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => git(&["log", "-1", "--format=%ct"]).context(
            "the image is dated with the last commit; without one, set SOURCE_DATE_EPOCH",
        )?,
    };
    given.trim().parse().with_context(|| format!("`{}` is no number of seconds", given.trim()))
}

/// The commit, with a mark if the files are not quite its.
pub(super) fn revision() -> String {
    let commit = git(&["rev-parse", "HEAD"]);
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    match (commit, changes) {
        (Ok(commit), Ok(changes)) if changes.trim().is_empty() => commit.trim().to_owned(),
        (Ok(commit), _) => format!("{}-changed", commit.trim()),
        (Err(_), _) => "unknown".to_owned(),
    }
}

fn git(arguments: &[&str]) -> Result<String> {
    output(Command::new("git").args(arguments).current_dir(root()?))
}
