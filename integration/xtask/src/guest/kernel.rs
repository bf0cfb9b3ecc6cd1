//! The distribution's packaged kernel: an image and its modules, installed or fetched.

mod image;
mod modules;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub(super) use self::modules::Modules;
use super::{cache, fetch, packages};

/// Packages that depend on the current kernel: Debian's, Ubuntu's. The flavours for clouds lack 9p.
const META_PACKAGES: [&str; 2] = ["linux-image-amd64", "linux-image-generic"];

/// What a guest must have beyond what starts it; in no initramfs, but proof of the right flavour.
const WANTED: [&str; 4] = ["ip_vs", "dummy", "veth", "sctp"];

/// A kernel to boot.
pub(super) struct Kernel {
    /// As in `uname -r`.
    pub(super) version: String,
    /// What QEMU starts.
    pub(super) image: PathBuf,
    /// The folder `lib/modules/VERSION`, with the files that depmod makes.
    pub(super) folder: PathBuf,
    /// What is in it.
    pub(super) modules: Modules,
}

/// The newest kernel that has all of `needed`: installed, fetched before, or fetched now.
pub(super) fn find_or_fetch(needed: &[&str]) -> Result<Kernel> {
    let cached = cache::folder("kernel")?;
    let roots = || std::iter::once(PathBuf::from("/")).chain(newest_first(&cached));
    let known = || roots().find_map(|root| newest(&root, needed));
    let kernel = match known() {
        Some(kernel) => kernel,
        None => fetch(&cached)
            .map(|()| known())?
            .with_context(|| format!("no kernel in {} has all of {needed:?}", cached.display()))?,
    };
    let config = kernel.image.with_file_name(format!("config-{}", kernel.version));
    Ok(Kernel { image: image::bootable(&kernel.image, &config)?, ..kernel })
}

fn fetch(cached: &Path) -> Result<()> {
    let (version, image) = META_PACKAGES
        .iter()
        .filter_map(|package| fetch::dependencies(package).ok())
        .flatten()
        .find_map(|name| Some((name.strip_prefix("linux-image-")?.to_owned(), name)))
        .with_context(|| format!("no package depends on a kernel: tried {META_PACKAGES:?}"))?;
    // Ubuntu's image package has no modules; its `extra` modules include sctp.
    let modules = ["linux-modules-", "linux-modules-extra-"].map(|kind| kind.to_owned() + &version);
    let mut wanted = vec![image];
    wanted.extend(modules.into_iter().filter(|package| fetch::is_available(package)));
    let root = cached.join(&version);
    fetch::unpack(&wanted, &root)?;
    join_lib_folders(&root)?;
    packages::run(Command::new("depmod").arg("--basedir").arg(&root).arg(&version))
}

/// Packages have modules in `lib` or in `usr/lib`, and depmod looks in either: make both one.
fn join_lib_folders(root: &Path) -> Result<()> {
    let (lib, usr_lib) = (root.join("lib"), root.join("usr/lib"));
    match (lib.exists(), usr_lib.exists()) {
        (true, false) => {
            std::fs::create_dir_all(root.join("usr"))?;
            std::os::unix::fs::symlink("../lib", usr_lib)?;
        }
        (false, true) => std::os::unix::fs::symlink("usr/lib", lib)?,
        (true, true) => {}
        (false, false) => bail!("the kernel's package has no modules"),
    }
    Ok(())
}

/// The newest kernel under `root` that has all that is needed, and an image that can be read:
/// Ubuntu keeps its images from all but root.
fn newest(root: &Path, needed: &[&str]) -> Option<Kernel> {
    newest_first(&root.join("lib/modules")).into_iter().find_map(|folder| {
        let version = folder.file_name()?.to_str()?.to_owned();
        let image = root.join("boot").join(format!("vmlinuz-{version}"));
        std::fs::File::open(&image).ok()?;
        let modules = Modules::read(&folder).ok()?;
        let all = needed.iter().chain(&WANTED).copied();
        modules.load_order(all).ok()?;
        Some(Kernel { version, image, folder, modules })
    })
}

/// The folders in `parent`, which are named by versions.
fn newest_first(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    folders.sort_by(|a, b| compare_versions(&b.to_string_lossy(), &a.to_string_lossy()));
    folders
}

/// Numbers in a version count as numbers: 6.1.0-10 is newer than 6.1.0-9.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .map(|part| (part.parse().unwrap_or(0), part.to_owned()))
            .collect()
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_not_the_last_in_the_alphabet() {
        let mut versions =
            ["6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.1-1-amd64", "6.8.0-10-generic"];
        versions.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(
            versions,
            ["6.12.1-1-amd64", "6.8.0-10-generic", "6.1.0-56-amd64", "6.1.0-9-amd64"]
        );
    }

    #[test]
    fn a_folder_without_kernels_has_no_newest() {
        assert!(newest(Path::new("/nonexistent"), &[]).is_none());
    }
}
