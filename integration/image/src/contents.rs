//! Which files make up the image, and why.
//!
//! Programs that Trimtab runs, the libraries that these need, and nothing else: no shell, no
//! package manager. What is there is recorded as Debian records it (`var/lib/dpkg/status.d`, as
//! images without a package manager have it), so that scanners for known faults find the packages.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};

use crate::debian::Package;
use crate::elf::{Architecture, Version, linkage};
use crate::tree::{Entry, Tree};

/// Where the program is in the image.
pub(crate) const PROGRAM: &str = "usr/bin/trimtab";

/// The two kinds of iptables, each one program under many names.
const IPTABLES: [(&str, &str); 2] =
    [("nft", "xtables-nft-multi"), ("legacy", "xtables-legacy-multi")];

/// The kind that the names without a kind stand for, as in Debian.
const USUAL: &str = "nft";

/// Extensions of iptables for our rules, and for all rules that others on a node may have:
/// iptables-save prints those, too, and ends with an error at one that it lacks the extension for.
/// Those of arptables and ebtables (libarpt_, libebt_) are left out.
const EXTENSIONS: [&str; 3] = ["libxt_", "libipt_", "libip6t_"];

/// Certificate authorities, for an API server whose certificate a public one has signed.
const AUTHORITIES: &str = "usr/share/ca-certificates/mozilla/";

/// The image's files, in the layers they go to.
#[derive(Debug)]
pub(crate) struct Contents {
    /// What changes when Debian changes.
    pub(crate) packages: Tree,
    /// What changes with every version of Trimtab.
    pub(crate) program: Tree,
}

impl Contents {
    /// Selects from `packages` what belongs into the image, for a program and its licence.
    ///
    /// Fails if something is missing, or is for another architecture or newer libraries.
    pub(crate) fn select(
        architecture: Architecture,
        packages: Vec<Package>,
        binary: Vec<u8>,
        license: Vec<u8>,
    ) -> Result<Self> {
        let available = Available(packages);
        let mut image = Tree::default();
        skeleton(&mut image, architecture);
        iptables(&available, &mut image, architecture)?;
        available.copy("usr/bin/kmod", &mut image)?;
        image.link("usr/sbin/modprobe", "../bin/kmod");
        available.copy("etc/os-release", &mut image)?;
        authorities(&available, &mut image)?;
        let mut program = Tree::default();
        program.file(PROGRAM, 0o755, binary);
        program.file("usr/share/doc/trimtab/copyright", 0o644, license);
        libraries(&available, &mut image, &program, architecture)?;
        records(&available, &mut image)?;
        Ok(Self { packages: image, program })
    }
}

/// The directories that a runtime mounts over, and what is configuration on other systems.
fn skeleton(image: &mut Tree, architecture: Architecture) {
    for directory in ["dev", "etc/trimtab", "proc", "run", "sys", "usr/lib/modules", "var"] {
        image.directory(directory, 0o755);
    }
    image.directory("tmp", 0o1777);
    for merged in ["bin", "lib", "sbin"] {
        image.link(merged, &format!("usr/{merged}"));
    }
    if architecture.loader().starts_with("usr/lib64/") {
        image.link("lib64", "usr/lib64");
    }
    image.link("var/run", "../run");
    image.file("etc/passwd", 0o644, "root:x:0:0:root:/:/nonexistent\n");
    image.file("etc/group", 0o644, "root:x:0:\n");
    // The API server may be known by a name.
    image.file("etc/nsswitch.conf", 0o644, "hosts: files dns\n");
}

fn iptables(available: &Available, image: &mut Tree, architecture: Architecture) -> Result<()> {
    for (kind, program) in IPTABLES {
        available.copy(&format!("usr/sbin/{program}"), image)?;
        for family in ["iptables", "ip6tables"] {
            for action in ["", "-save", "-restore"] {
                image.link(&format!("usr/sbin/{family}-{kind}{action}"), program);
                if kind == USUAL {
                    image.link(&format!("usr/sbin/{family}{action}"), program);
                }
            }
        }
    }
    let folder = format!("{}/xtables/", architecture.libraries());
    let is_wanted = |path: &str| {
        let name = path.strip_prefix(&folder);
        name.is_some_and(|name| EXTENSIONS.iter().any(|prefix| name.starts_with(prefix)))
    };
    let extensions: Vec<_> = available.paths().filter(|path| is_wanted(path)).collect();
    ensure!(!extensions.is_empty(), "no package has extensions of iptables in {folder}");
    extensions.into_iter().try_for_each(|path| available.copy(path, image))
}

/// The bundle that the package makes when it is installed, from its certificates in their order.
fn authorities(available: &Available, image: &mut Tree) -> Result<()> {
    let mut bundle = Vec::new();
    for path in available.paths().filter(|path| path.starts_with(AUTHORITIES)) {
        if let Some(Entry::File(_, content)) = available.get(path) {
            bundle.extend_from_slice(content.trim_ascii_end());
            bundle.push(b'\n');
        }
    }
    ensure!(!bundle.is_empty(), "no package has certificate authorities in {AUTHORITIES}");
    image.file("etc/ssl/certs/ca-certificates.crt", 0o644, bundle);
    Ok(())
}

/// What the packages are that files come from, and their licences.
fn records(available: &Available, image: &mut Tree) -> Result<()> {
    for package in &available.0 {
        let is_from = |(path, entry): (&str, &Entry)| {
            path.starts_with(AUTHORITIES)
                || matches!(entry, Entry::File(..)) && image.get(path) == Some(entry)
        };
        if !package.files.iter().any(is_from) {
            continue;
        }
        let name = &package.name;
        image.file(&format!("var/lib/dpkg/status.d/{name}"), 0o644, package.control.as_bytes());
        // The folder of its documentation may be that of another package of the same source.
        let folder = format!("usr/share/doc/{name}");
        let folder = match package.files.get(&folder) {
            Some(Entry::Link(target)) => resolved(&folder, target)?,
            _ => folder,
        };
        let licence = available.get(&format!("{folder}/copyright"));
        let licence = licence.with_context(|| format!("the package {name} has no licence"))?;
        image.insert(&format!("usr/share/doc/{name}/copyright"), licence.clone());
    }
    Ok(())
}

/// The loader, and whatever the programs and libraries that are there need, until nothing is
/// missing.
fn libraries(
    available: &Available,
    image: &mut Tree,
    program: &Tree,
    architecture: Architecture,
) -> Result<()> {
    let folder = architecture.libraries();
    available.copy(architecture.loader(), image)?;
    let mut wanted = BTreeSet::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut needs: Vec<(String, Version)> = Vec::new();
    let mut offered: BTreeSet<Version> = BTreeSet::new();
    loop {
        for (path, entry) in image.iter().chain(program.iter()) {
            let Entry::File(_, content) = entry else { continue };
            if seen.insert(path.to_owned()) {
                let found = linkage(content, architecture).with_context(|| path.to_owned())?;
                let found = found.unwrap_or_default();
                wanted.extend(found.libraries);
                needs.extend(found.needs.into_iter().map(|version| (path.to_owned(), version)));
                offered.extend(found.offers);
            }
        }
        let missing: Vec<String> = wanted
            .iter()
            .map(|name| format!("{folder}/{name}"))
            .filter(|path| image.get(path).is_none())
            .collect();
        if missing.is_empty() {
            break;
        }
        for path in missing {
            available.copy(&path, image)?;
        }
    }
    for (path, version) in &needs {
        let Version { library, name } = version;
        ensure!(
            offered.contains(version),
            "/{path} needs {name}, which {library} of the packages does not have: build it on the \
             release of Debian that the packages are from"
        );
    }
    Ok(())
}

/// All packages.
struct Available(Vec<Package>);

impl Available {
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|package| package.files.iter().map(|(path, _)| path))
    }

    fn get(&self, path: &str) -> Option<&Entry> {
        self.0.iter().find_map(|package| package.files.get(path))
    }

    /// Copies a file, or a link and the file that it leads to.
    fn copy(&self, path: &str, image: &mut Tree) -> Result<()> {
        let Some(entry) = self.get(path) else { bail!("no package has /{path}") };
        image.insert(path, entry.clone());
        match entry {
            Entry::File(..) => Ok(()),
            Entry::Link(target) => self.copy(&resolved(path, target)?, image),
            Entry::Directory(_) => bail!("/{path} is a directory"),
        }
    }
}

/// Where a link leads.
fn resolved(path: &str, target: &str) -> Result<String> {
    let (folder, _) = path.rsplit_once('/').context("a link in the top directory")?;
    Ok(match target.strip_prefix('/') {
        // Into a directory that is merged, as the loader's link does.
        Some(absolute) if absolute.starts_with("lib") => format!("usr/{absolute}"),
        Some(absolute) => absolute.to_owned(),
        None => {
            let mut parts: Vec<&str> = folder.split('/').collect();
            for part in target.split('/') {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            parts.join("/")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_they_lead_on_a_system_with_merged_directories() {
        let loader = "usr/lib64/ld-linux-x86-64.so.2";
        let to = resolved(loader, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").unwrap();
        assert_eq!(to, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
        assert_eq!(
            resolved("usr/lib/a/libx.so.1", "libx.so.1.2").unwrap(),
            "usr/lib/a/libx.so.1.2"
        );
        assert_eq!(resolved("usr/lib/ld.so", "../lib/a/ld.so").unwrap(), "usr/lib/a/ld.so");
    }

    #[test]
    fn what_no_package_has_is_named() {
        let files = Package::default();
        let error = Contents::select(Architecture::Amd64, vec![files], vec![], vec![]).unwrap_err();
        assert_eq!(error.to_string(), "no package has /usr/sbin/xtables-nft-multi");
    }
}
