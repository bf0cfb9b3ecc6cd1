//! `cargo xtask docs`: builds the book, and checks the documentation against the program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// The version to build if the machine has no mdBook.
const VERSION: &str = "0.5.4";

/// `cargo xtask docs`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only build the book; by default links and commands are checked as well
    #[arg(long)]
    no_check: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    let mdbook = mdbook()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(&mdbook)
        .args(["build", "docs"])
        .current_dir(&root)
        .status()
        .with_context(|| format!("cannot start {}", mdbook.display()))?;
    ensure!(status.success(), "mdbook failed: {status}");
    println!("the book: target/book/index.html");
    if !arguments.no_check {
        // Build for the whole workspace, whose features unify as in the other tests, so that
        // nothing is rebuilt.
        let check = ["test", "--workspace", "--test", "docs"];
        ensure!(cargo::succeeds(&check)?, "the documentation has faults");
    }
    Ok(0)
}

/// mdBook: the machine's own, or one that is built once, from its own lock file, into `target/tools`.
fn mdbook() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = cargo::target_folder()?.join("tools");
    let folders = env::split_paths(&path).chain([tools.join("bin")]);
    if let Some(found) = folders.map(|folder| folder.join("mdbook")).find(|path| path.is_file()) {
        return Ok(found);
    }
    println!("no mdbook in PATH: building version {VERSION} into {}", tools.display());
    let root = tools.to_str().context("the path of target/tools is not UTF-8")?;
    // Without its web server, and not optimised: it runs for a second.
    let install =
        ["install", "mdbook", "--version", VERSION, "--locked", "--debug", "--root", root];
    let features = ["--no-default-features", "--features", "search"];
    ensure!(cargo::succeeds(&[&install[..], &features].concat())?, "cannot build mdbook");
    Ok(tools.join("bin/mdbook"))
}
