//! The test binaries that have kernel tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::Executable;

/// A test binary with the number of kernel tests in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// What people call it: the path of its root file.
    pub(super) label: String,
    /// How many of its tests are to be run.
    pub(super) tests: usize,
    directory: PathBuf,
    binary: PathBuf,
}

impl Suite {
    /// A suite by its label alone.
    #[cfg(test)]
    pub(super) fn named(label: &str, tests: usize) -> Self {
        Self { label: label.into(), tests, directory: "/".into(), binary: "/".into() }
    }

    /// The command that runs one test of it with its output shown.
    pub(super) fn look_inside(&self) -> String {
        format!("cargo xtask guest -- {} --ignored --nocapture NAME", self.binary.display())
    }

    /// As the driver takes it.
    pub(super) fn words(&self) -> [OsString; 3] {
        [self.label.clone().into(), self.directory.clone().into(), self.binary.clone().into()]
    }
}

/// Tests in a module of this name are ignored for want of `kubectl`, not of a kernel.
pub(super) const KUBECTL: &str = "kubectl::";

/// Asks each test binary for its ignored tests, which any machine can do.
pub(super) fn with_kernel_tests(
    executables: &[Executable],
    filter: Option<&str>,
) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    for executable in executables.iter().filter(|executable| executable.is_test) {
        let output = Command::new(&executable.path)
            .args(["--list", "--ignored", "--format", "terse", "--skip", KUBECTL])
            .args(filter)
            .output()
            .with_context(|| format!("cannot start {}", executable.path.display()))?;
        ensure!(output.status.success(), "{} cannot list its tests", executable.path.display());
        let tests = count_tests(&String::from_utf8_lossy(&output.stdout));
        if tests > 0 {
            suites.push(Suite {
                label: label(executable),
                tests,
                directory: executable.package.clone(),
                binary: executable.path.clone(),
            });
        }
    }
    suites.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(suites)
}

fn count_tests(listing: &str) -> usize {
    listing.lines().filter(|line| line.ends_with(": test")).count()
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
        assert_eq!(count_tests("a::b: test\nc: test\nd: benchmark\n\n2 tests, 1 benchmark\n"), 2);
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
        assert_eq!(with_kernel_tests(std::slice::from_ref(&this), None).unwrap(), []);
        assert_eq!(label(&this), "xtask/src/main.rs");
    }
}
