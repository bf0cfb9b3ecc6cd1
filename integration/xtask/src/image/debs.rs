//! The Debian packages whose files go into the image.
//!
//! They are those of the release that this machine has, so that the program finds the glibc that it
//! was linked with. Nothing is installed: for another kind of processor, apt keeps its state in
//! `target/image/`, apart from the machine's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::Arch;
use crate::guest::fetch;
use crate::guest::packages::{self, run};

/// Packages that have what the image needs; the libraries that they depend on come with them.
const ROOTS: [&str; 5] = ["base-files", "ca-certificates", "iptables", "kmod", "libgcc-s1"];

/// A folder with the packages. What was downloaded once is kept: remove the folder to have Debian's
/// current versions.
pub(super) fn folder(arch: Arch) -> Result<PathBuf> {
    let folder = super::folder()?.join(format!("packages-{}", arch.name()));
    if !folder.is_dir() {
        let names = closure(&ROOTS, fetch::dependencies)?;
        download(arch, &names.into_iter().collect::<Vec<_>>(), &folder)?;
    }
    Ok(folder)
}

/// The packages `roots` with all libraries that they depend on, however far away.
pub(super) fn closure(
    roots: &[&str],
    dependencies: impl Fn(&str) -> Result<Vec<String>>,
) -> Result<BTreeSet<String>> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = roots.iter().map(|&name| name.to_owned()).collect();
    while let Some(name) = open.pop() {
        // The licence of libgcc-s1 is in a package of its own.
        let is_library = name.starts_with("lib") || name.starts_with("gcc-");
        if (is_library || roots.contains(&name.as_str())) && found.insert(name.clone()) {
            open.extend(dependencies(&name)?);
        }
    }
    Ok(found)
}

/// Downloads packages to a folder, which appears complete or not at all.
pub(super) fn download(arch: Arch, names: &[String], folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder has a parent")?;
    let scratch = TempDir::new_in(parent).context("cannot make a scratch folder")?;
    eprintln!("image: downloading for {}: {}", arch.name(), names.join(" "));
    if arch == Arch::here() {
        let download =
            || run(Command::new("apt-get").arg("download").args(names).current_dir(&scratch));
        download().or_else(|_| {
            packages::apt_get_update()?;
            download()
        })?;
    } else {
        let state = state_of(arch)?;
        run(apt_get(arch, &state).args(["-qq", "update"]))?;
        run(apt_get(arch, &state).arg("download").args(names).current_dir(&scratch))?;
    }
    let count = std::fs::read_dir(&scratch)?.count();
    ensure!(count == names.len(), "apt-get downloaded {count} packages of {}", names.len());
    std::fs::rename(scratch.keep(), folder)
        .with_context(|| format!("cannot make {}", folder.display()))
}

/// An empty state, which knows of no installed package.
fn state_of(arch: Arch) -> Result<PathBuf> {
    let state = super::folder()?.join(format!("apt-{}", arch.name()));
    for part in ["state/lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(state.join(part)).context("cannot make a state for apt")?;
    }
    std::fs::write(state.join("status"), "").context("cannot make a state for apt")?;
    Ok(state)
}

/// apt for another kind of processor, with the sources and keys of this machine.
fn apt_get(arch: Arch, state: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let options = [
        format!("APT::Architecture={}", arch.name()),
        format!("APT::Architectures={}", arch.name()),
        format!("Dir::State={}", state.join("state").display()),
        format!("Dir::State::status={}", state.join("status").display()),
        format!("Dir::Cache={}", state.join("cache").display()),
    ];
    for option in options {
        command.args(["-o", &option]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_with_what_needs_them_and_nothing_else_does() {
        let depends = |name: &str| {
            Ok(match name {
                "kmod" => vec!["libkmod2".to_owned(), "lsb-base".to_owned()],
                "libkmod2" => vec!["libc6".to_owned()],
                "libc6" => vec!["libkmod2".to_owned()],
                _ => panic!("nobody asks about {name}"),
            })
        };
        let found: Vec<_> = closure(&["kmod"], depends).unwrap().into_iter().collect();
        assert_eq!(found, ["kmod", "libc6", "libkmod2"]);
    }
}
