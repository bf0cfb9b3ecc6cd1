//! The kernel tests of all test binaries.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::cargo::Executable;

/// A test binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// What people call it: the path of its root file.
    pub(super) label: String,
    directory: PathBuf,
    binary: PathBuf,
}

/// A kernel test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) suite: Arc<Suite>,
    /// Its name in the binary: `module::function`.
    pub(super) name: String,
}

impl Test {
    /// A test by its names alone.
    #[cfg(test)]
    pub(super) fn named(label: &str, name: &str) -> Self {
        let suite = Suite { label: label.into(), directory: "/".into(), binary: "/".into() };
        Self { suite: Arc::new(suite), name: name.into() }
    }

    /// Whether it starts containers.
    pub(super) fn needs_the_image(&self) -> bool {
        self.suite.label.ends_with("tests/pod.rs")
    }

    /// The command that runs it alone with its output shown.
    pub(super) fn look_inside(&self) -> String {
        let (binary, name) = (self.suite.binary.display(), &self.name);
        format!("cargo xtask guest -- {binary} --ignored --nocapture --exact {name}")
    }

    /// As the driver takes it, after a number.
    pub(super) fn words(&self) -> [OsString; 3] {
        let Suite { directory, binary, .. } = &*self.suite;
        [directory.clone().into(), binary.clone().into(), self.name.clone().into()]
    }
}

/// Tests in a module of this name are ignored for want of `kubectl`, not of a kernel.
pub(super) const KUBECTL: &str = "kubectl::";

/// Asks each test binary for its ignored tests, which any machine can do. They are in the order of
/// the binaries' labels and of the tests' names.
pub(super) fn kernel_tests(executables: &[Executable], filter: Option<&str>) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for executable in executables.iter().filter(|executable| executable.is_test) {
        let output = Command::new(&executable.path)
            .args(["--list", "--ignored", "--format", "terse", "--skip", KUBECTL])
            .args(filter)
            .output()
            .with_context(|| format!("cannot start {}", executable.path.display()))?;
        ensure!(output.status.success(), "{} cannot list its tests", executable.path.display());
        let suite = Arc::new(Suite {
            label: label(executable),
            directory: executable.package.clone(),
            binary: executable.path.clone(),
        });
        let listing = String::from_utf8_lossy(&output.stdout);
        let named = |name: &str| Test { suite: Arc::clone(&suite), name: name.to_owned() };
        tests.extend(names(&listing).map(named));
    }
    tests.sort_by(|a, b| (&a.suite.label, &a.name).cmp(&(&b.suite.label, &b.name)));
    Ok(tests)
}

fn names(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The package's folder and the file in it: `trimtab-ipvs/tests/kernel.rs`.
fn label(executable: &Executable) -> String {
    let parent = executable.package.parent().unwrap_or(Path::new("/"));
    let source = executable.source.strip_prefix(parent).unwrap_or(&executable.source);
    source.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_in_a_listing_are_no_tests() {
        let listing = "a::b: test\nc: test\nd: benchmark\n\n2 tests, 1 benchmark\n";
        assert_eq!(names(listing).collect::<Vec<_>>(), ["a::b", "c"]);
    }

    #[test]
    fn this_very_binary_can_be_asked() {
        let this = Executable {
            name: "xtask".into(),
            source: "/w/xtask/src/main.rs".into(),
            package: "/w/xtask".into(),
            path: std::env::current_exe().unwrap(),
            is_test: true,
        };
        assert_eq!(kernel_tests(std::slice::from_ref(&this), None).unwrap(), []);
        assert_eq!(label(&this), "xtask/src/main.rs");
    }
}
