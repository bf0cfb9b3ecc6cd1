//! Which modules a kernel has, and what must be loaded before what.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The modules of one kernel: those in files and those built in.
pub(in crate::guest) struct Modules {
    folder: PathBuf,
    /// By name: the file, and the files of what it needs, the deepest last, relative to `folder`.
    files: HashMap<String, Vec<String>>,
    builtin: HashSet<String>,
}

impl Modules {
    /// Reads the indices that depmod and the kernel's build left in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let read = |name| {
            let path = folder.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self::parse(folder, &read("modules.dep")?, &read("modules.builtin")?))
    }

    /// `dep` has a line `a.ko: b.ko c.ko` for each module, `builtin` a path.
    fn parse(folder: &Path, dep: &str, builtin: &str) -> Self {
        let files = dep.lines().filter_map(|line| line.split_once(':')).map(|(file, needs)| {
            let chain = std::iter::once(file).chain(needs.split_whitespace());
            (name(file), chain.map(str::to_owned).collect())
        });
        Self {
            folder: folder.to_owned(),
            files: files.collect(),
            builtin: builtin.lines().map(name).collect(),
        }
    }

    /// The files to load for `names` and in which order. Fails for a name the kernel does not have.
    pub(in crate::guest) fn load_order<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&str>> {
        let mut order: Vec<&str> = Vec::new();
        for wanted in names {
            match self.files.get(wanted) {
                Some(chain) => {
                    for file in chain.iter().rev().map(String::as_str) {
                        if !order.contains(&file) {
                            order.push(file);
                        }
                    }
                }
                None => ensure!(
                    self.builtin.contains(wanted),
                    "the kernel in {} has no {wanted}",
                    self.folder.display()
                ),
            }
        }
        Ok(order)
    }

    /// The content of a module's file, uncompressed.
    pub(in crate::guest) fn content(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        let unpacker = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => "xz",
            Some("zst") => "zstd",
            Some("gz") => "gzip",
            _ => {
                return std::fs::read(&path)
                    .with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let output = Command::new(unpacker)
            .arg("-dc")
            .arg(&path)
            .output()
            .with_context(|| format!("cannot start {unpacker}"))?;
        ensure!(output.status.success(), "{unpacker} cannot unpack {}", path.display());
        Ok(output.stdout)
    }
}

/// `kernel/fs/9p/9p.ko.xz` is the module 9p. File names may have hyphens, module names have none.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/9p/9p.ko.xz: kernel/fs/fscache.ko kernel/net/9p/9pnet.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio-ring.ko
kernel/fs/fscache.ko:
kernel/drivers/virtio-ring.ko:
";

    fn modules() -> Modules {
        Modules::parse(Path::new("/m"), DEP, "kernel/fs/over-lay.ko\n")
    }

    #[test]
    fn what_a_module_needs_is_loaded_before_it_and_once() {
        assert_eq!(
            modules().load_order(["9p", "9pnet_virtio", "9p"]).unwrap(),
            [
                "kernel/net/9p/9pnet.ko",
                "kernel/fs/fscache.ko",
                "kernel/fs/9p/9p.ko.xz",
                "kernel/drivers/virtio-ring.ko",
                "kernel/net/9p/9pnet_virtio.ko",
            ]
        );
    }

    #[test]
    fn what_is_built_in_needs_no_loading_and_what_is_absent_is_an_error() {
        assert!(modules().load_order(["over_lay"]).unwrap().is_empty());
        let error = modules().load_order(["ip_vs"]).unwrap_err();
        assert_eq!(error.to_string(), "the kernel in /m has no ip_vs");
    }

    #[test]
    fn a_compressed_module_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ko"), b"module").unwrap();
        let compress = Command::new("gzip").arg(folder.path().join("a.ko")).status().unwrap();
        assert!(compress.success());
        let modules = Modules::parse(folder.path(), "", "");
        assert_eq!(modules.content("a.ko.gz").unwrap(), b"module");
        assert!(modules.content("b.ko.gz").is_err());
    }
}
