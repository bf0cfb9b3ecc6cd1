//! How `trimtab` is built for an image: so that the same commit gives the same program, wherever
//! its checkout is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Arch, cross, source};
use crate::cargo;

/// The profile of what is shipped, in the workspace's Cargo.toml.
const PROFILE: &str = "dist";

/// Builds the program and returns its path.
pub(super) fn build(arch: Arch, dev: bool) -> Result<PathBuf> {
    let profile = if dev { "dev" } else { PROFILE };
    let mut arguments = vec!["--locked", "--profile", profile];
    arguments.extend(["--package", "trimtab", "--bin", "trimtab"]);
    let mut variables = Vec::new();
    if !dev {
        variables.push(("CARGO_ENCODED_RUSTFLAGS".to_owned(), without_paths()?));
    }
    if arch != Arch::here() {
        arguments.extend(["--target", arch.triple()]);
        variables.extend(cross::variables(arch)?);
    }
    let executables = cargo::build_with(&arguments, &variables)?;
    Ok(cargo::program(&executables, "trimtab")?.to_owned())
}

/// Flags for rustc that put fixed names in place of this machine's directories, which panics and
/// backtraces name.
fn without_paths() -> Result<OsString> {
    let registry = match std::env::var_os("CARGO_HOME") {
        Some(path) => path.into(),
        None => Path::new(&std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    // The last that fits counts, so the target folder comes behind what it may be in.
    let names =
        [(source::root()?, "/trimtab"), (registry, "/cargo"), (cargo::target_folder()?, "/target")];
    let mut flags = OsString::new();
    for (number, (path, name)) in names.iter().enumerate() {
        if number > 0 {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}
