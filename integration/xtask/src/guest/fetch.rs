//! Debian packages unpacked beside the build instead of installed: nothing of the host changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::packages::{apt_get_update, output, run};

/// Whether the package lists name `package`; they are fetched first where there are none.
pub(super) fn is_available(package: &str) -> bool {
    show(package).is_ok()
}

/// The packages that `package` depends on, the first of each choice.
pub(crate) fn dependencies(package: &str) -> Result<Vec<String>> {
    let text = show(package).or_else(|_| {
        apt_get_update()?;
        show(package)
    })?;
    Ok(depends(&text))
}

/// Downloads `packages` and unpacks them to one folder, which appears complete or not at all.
pub(super) fn unpack(packages: &[String], folder: &Path) -> Result<()> {
    let parent = folder.parent().context("a folder has a parent")?;
    let scratch = TempDir::new_in(parent).context("cannot make a scratch folder")?;
    eprintln!("guest: downloading {}", packages.join(" "));
    let download =
        || run(Command::new("apt-get").arg("download").args(packages).current_dir(&scratch));
    download().or_else(|_| {
        apt_get_update()?;
        download()
    })?;
    let files = scratch.path().join("files");
    extract(scratch.path(), &files)?;
    match std::fs::rename(&files, folder) {
        Err(_) if folder.exists() => Ok(()), // Another run was quicker.
        result => result.with_context(|| format!("cannot make {}", folder.display())),
    }
}

/// Unpacks all packages in the folder `packages` to `files`.
pub(crate) fn extract(packages: &Path, files: &Path) -> Result<()> {
    for package in debs(packages)? {
        run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(files))?;
    }
    Ok(())
}

fn debs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut debs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            debs.push(path);
        }
    }
    Ok(debs)
}

fn show(package: &str) -> Result<String> {
    output(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
}

/// Reads the Depends field: `a (>= 1), b | c` is a and b.
fn depends(control: &str) -> Vec<String> {
    let field = control.lines().find_map(|line| line.strip_prefix("Depends:")).unwrap_or_default();
    field
        .split(',')
        .filter_map(|choice| choice.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_choice_is_a_dependency() {
        let control = "Package: k\nDepends: linux-image-6.1 (= 1), kmod:any, initramfs | dracut\n";
        assert_eq!(depends(control), ["linux-image-6.1", "kmod", "initramfs"]);
        assert!(depends("Package: k\n").is_empty());
    }
}
