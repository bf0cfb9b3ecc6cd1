//! Compilers for another kind of processor than this machine's.
//!
//! Rust's is rustup's, where the target has been added. Otherwise it is Debian's `rustc-web`, a
//! current Rust in a stable release, with the standard library that Debian has for the other kind;
//! they are unpacked below `target/`, not installed. The C compiler, which also links, is Debian's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{Arch, debs};
use crate::guest::fetch;
use crate::guest::packages::{is_installed, output};

/// The package that has Rust's standard library, which rustc-web must have the same version of.
const LIBRARY: &str = "libstd-rust-web-dev";

/// What cargo needs in its environment to build for `arch`.
pub(super) fn variables(arch: Arch) -> Result<Vec<(String, OsString)>> {
    let triple = arch.triple();
    let compiler = OsString::from(arch.compiler());
    output(Command::new(&compiler).arg("--version")).with_context(|| {
        let gcc = arch.compiler().replace("-gcc", "").replace('_', "-");
        let packages = format!("gcc-{gcc} libc6-dev-{}-cross", arch.name());
        format!("a C compiler for {triple} is needed; in Debian: apt-get install {packages}")
    })?;
    let triple = triple.replace('-', "_");
    let mut variables = vec![
        (format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), compiler.clone()),
        // For ring, which has parts in C.
        (format!("CC_{triple}"), compiler),
    ];
    if !has_library(arch)? {
        let folder = debian_rust(arch)?;
        variables.push(("RUSTC".to_owned(), folder.join("usr/bin/rustc").into()));
        let given = std::env::var_os("LD_LIBRARY_PATH");
        variables.push(("LD_LIBRARY_PATH".to_owned(), library_path(&folder, given.as_deref())));
    }
    Ok(variables)
}

/// Whether the compiler that cargo would take can build for `arch`.
fn has_library(arch: Arch) -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    let folder = output(command.args(["--print", "target-libdir", "--target", arch.triple()]))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// Debian's Rust that compiles for `arch` on this machine, unpacked.
fn debian_rust(arch: Arch) -> Result<PathBuf> {
    let folder = super::folder()?.join(format!("rust-{}", arch.name()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let triple = arch.triple();
    let missing =
        format!("rustc has no standard library for {triple}; run: rustup target add {triple}");
    if std::env::var_os("RUSTC").is_some() || !is_installed("apt-get") {
        bail!(missing);
    }
    // Other systems with apt, Ubuntu among them, may not have the package.
    let names = debs::closure(&[LIBRARY], fetch::dependencies).context(missing)?;
    eprintln!("image: rustc has no standard library for {triple}; taking Debian's Rust");
    let mut names: Vec<_> = names.into_iter().collect();
    // The C library and the loader of programs belong together, and the loader is this machine's.
    names.retain(|name| name != "libc6");
    names.push("rustc-web".to_owned());
    let scratch = TempDir::new_in(super::folder()?).context("cannot make a scratch folder")?;
    let [native, foreign, files] = ["native", "foreign", "files"].map(|n| scratch.path().join(n));
    debs::download(Arch::here(), &names, &native)?;
    let library = format!("{LIBRARY}={}", version(&native, LIBRARY)?);
    debs::download(arch, &[library], &foreign)?;
    fetch::extract(&native, &files)?;
    fetch::extract(&foreign, &files)?;
    std::fs::rename(&files, &folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// The version of the package `name` in the folder `packages`.
fn version(packages: &Path, name: &str) -> Result<String> {
    let start = format!("{name}_");
    for entry in std::fs::read_dir(packages)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            let mut command = Command::new("dpkg-deb");
            let version = output(command.arg("--field").arg(entry.path()).arg("Version"))?;
            return Ok(version.trim().to_owned());
        }
    }
    bail!("{} has no package {name}", packages.display())
}

/// Where the compiler in `folder` finds its libraries, before what is `given` in LD_LIBRARY_PATH.
fn library_path(folder: &Path, given: Option<&OsStr>) -> OsString {
    let machine = Arch::here().compiler().replace("-gcc", "");
    let mut path = OsString::new();
    for libraries in ["usr/lib", "lib"] {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(folder.join(libraries).join(&machine));
    }
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        path.push(":");
        path.push(given);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_libraries_are_looked_for_before_those_that_the_user_names() {
        let path = library_path(Path::new("/r"), Some(OsStr::new("/given")));
        let found: Vec<_> = std::env::split_paths(&path).collect();
        assert!(found[0].starts_with("/r/usr/lib") && found[1].starts_with("/r/lib"), "{found:?}");
        assert_eq!(found[2..], [Path::new("/given")]);
        // An empty part of the variable would mean the current folder.
        let path = library_path(Path::new("/r"), Some(OsStr::new("")));
        assert_eq!(std::env::split_paths(&path).count(), 2);
    }
}
