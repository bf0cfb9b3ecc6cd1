//! What is in a Debian package.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tar::EntryType;

use crate::tree::{Entry, Tree};

/// The top directories that Debian has merged into `usr`. Packages of Debian 12 still have files in
/// both.
const MERGED: [&str; 4] = ["bin/", "sbin/", "lib/", "lib64/"];

/// A package: what it says of itself, and its files, with every path below `usr` that is there on
/// an installed system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its control file.
    pub(crate) control: String,
    pub(crate) files: Tree,
}

/// Reads every package of a folder, in the order of their file names.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Package>> {
    let mut paths = Vec::new();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the packages in {}", folder.display()))?;
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no packages", folder.display());
    paths.iter().map(read).collect()
}

fn read(path: &PathBuf) -> Result<Package> {
    let about = || format!("cannot read the package {}", path.display());
    let output = Command::new("dpkg-deb").arg("--field").arg(path).output();
    let output = output.context("cannot start dpkg-deb").with_context(about)?;
    ensure!(output.status.success(), "{}: {}", about(), String::from_utf8_lossy(&output.stderr));
    let control = String::from_utf8(output.stdout).with_context(about)?;
    let name = field(&control, "Package").with_context(about)?.to_owned();
    Ok(Package { name, files: files(path).with_context(about)?, control })
}

/// The value of a one-line field of a control file.
fn field<'a>(control: &'a str, name: &str) -> Option<&'a str> {
    control.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn files(package: &Path) -> Result<Tree> {
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stdout = child.stdout.take().context("dpkg-deb has no output")?;
    let tree = read_tar(stdout);
    let status = child.wait()?;
    ensure!(status.success(), "dpkg-deb: {status}");
    tree
}

fn read_tar(from: impl std::io::Read) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_str().context("a path that is not UTF-8")?.to_owned();
        let path = merged(path.trim_start_matches("./").trim_end_matches('/'));
        let mode = entry.header().mode()? & 0o777;
        match entry.header().entry_type() {
            EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                tree.insert(&path, Entry::File(mode, content));
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.context("a link without a target")?;
                tree.link(&path, target.to_str().context("a target that is not UTF-8")?);
            }
            // Directories come with what is in them; packages for an image have nothing else.
            _ => {}
        }
    }
    Ok(tree)
}

/// Where a path of a package is on a system with merged directories.
fn merged(path: &str) -> String {
    if MERGED.iter().any(|top| path.starts_with(top)) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_old_directories_are_found_in_usr() {
        assert_eq!(merged("lib/x86_64-linux-gnu/libc.so.6"), "usr/lib/x86_64-linux-gnu/libc.so.6");
        assert_eq!(merged("usr/lib/libx.so"), "usr/lib/libx.so");
        assert_eq!(merged("library"), "library");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let control = "Package: libc6\nVersion: 2.36-9\nPackage-Type: deb\n";
        assert_eq!(field(control, "Package"), Some("libc6"));
        assert_eq!(field(control, "Pack"), None);
    }
}
