//! `trimtab man`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::Cli;

/// Arguments of `trimtab man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # For all users of a node; then `man trimtab` and `man trimtab-run`:
  trimtab man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder; it is created if it is missing.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes a page for the program and for each command.
pub(super) fn man(arguments: &ManArgs) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("cannot write man pages to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
