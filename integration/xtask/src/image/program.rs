//! How `trimtab` is built for an image: so that the same commit gives the same program, wherever
//! its checkout is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Arch, source};
use crate::cargo;
use crate::guest::packages::output;

/// The profile of what is shipped, in the workspace's Cargo.toml.
const PROFILE: &str = "dist";

/// Builds the program and returns its path.
pub(super) fn build(arch: Arch, dev: bool) -> Result<PathBuf> {
    let profile = if dev { "dev" } else { PROFILE };
    let cross: [String; 2];
    let mut arguments = vec!["--locked", "--profile", profile];
    arguments.extend(["--package", "trimtab", "--bin", "trimtab"]);
    let mut variables = Vec::new();
    if !dev {
        variables.push(("CARGO_ENCODED_RUSTFLAGS", without_paths()?));
    }
    if arch != Arch::here() {
        check_cross(arch)?;
        arguments.extend(["--target", arch.triple()]);
        let compiler = OsString::from(arch.compiler());
        let triple = arch.triple().replace('-', "_");
        cross = [
            format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()),
            // For ring, which has parts in C.
            format!("CC_{triple}"),
        ];
        variables.extend(cross.iter().map(|name| (name.as_str(), compiler.clone())));
    }
    let executables = cargo::build_with(&arguments, &variables)?;
    Ok(cargo::program(&executables, "trimtab")?.to_owned())
}

/// Says what is missing to build for another kind of processor.
fn check_cross(arch: Arch) -> Result<()> {
    let triple = arch.triple();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed =
        output(Command::new(rustc).args(["--print", "target-libdir", "--target", triple]))?;
    ensure!(
        Path::new(printed.trim()).is_dir(),
        "rustc has no standard library for {triple}; run: rustup target add {triple}"
    );
    let compiler = arch.compiler();
    output(Command::new(compiler).arg("--version")).map(drop).with_context(|| {
        format!("a C compiler for {triple} is needed; in Debian: apt-get install gcc-{triple}")
            .replace("-unknown", "")
    })
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
