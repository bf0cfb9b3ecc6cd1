//! `cargo xtask image`: the container image, as an archive, without a container engine and without
//! a registry.
//!
//! | module | what it knows |
//! |---|---|
//! | [`program`] | how `trimtab` is built for an image |
//! | [`cross`] | with which compilers, for another kind of processor |
//! | [`debs`] | the Debian packages that go with it |
//! | [`source`] | the commit, and the time that everything in the image is dated with |
//!
//! The package `trimtab-image` puts these together; this program only calls it, because it is the
//! first that a newcomer builds.

mod cross;
mod debs;
mod program;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Executable};

/// The environment variable that tells tests where the image is.
pub(crate) const IMAGE_VARIABLE: &str = "TRIMTAB_IMAGE";

/// The program of the package `trimtab-image`.
const ASSEMBLER: &str = "assemble-image";

/// The most that a released image may have, in bytes.
const MAX_SIZE: u64 = 25_000_000;

/// `cargo xtask image`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// What it is to run on; this machine's own kind unless given
    #[arg(long, value_enum, default_value_t = Arch::here())]
    arch: Arch,
    /// Build the program without optimisation, as for tests
    #[arg(long)]
    dev: bool,
    /// The archive; target/image/trimtab-ARCH.tar unless given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take this program instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Take the Debian packages in this directory instead of downloading any
    #[arg(long, value_name = "DIRECTORY")]
    packages: Option<PathBuf>,
}

/// A kind of processor.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// x86-64
    Amd64,
    /// AArch64
    Arm64,
}

impl Arch {
    /// This machine's kind.
    pub(crate) fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// As OCI and Debian name it.
    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The C compiler for it, which also links, as Debian names it.
    fn compiler(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// As Rust names it.
    fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    let arch = arguments.arch;
    let program = match &arguments.binary {
        Some(path) => path.clone(),
        None => program::build(arch, arguments.dev)?,
    };
    let output = match &arguments.output {
        Some(path) => path.clone(),
        None => folder()?.join(format!("trimtab-{}.tar", arch.name())),
    };
    let most = (!arguments.dev).then_some(MAX_SIZE);
    let assembler = cargo::build(&["--package", "trimtab-image", "--bin", ASSEMBLER])?;
    let assembler = cargo::program(&assembler, ASSEMBLER)?;
    assemble(assembler, arch, &program, arguments.packages.as_deref(), &output, most)?;
    Ok(0)
}

/// The image for tests, with the program that is tested, from what cargo has built; its path.
pub(crate) fn for_tests(executables: &[Executable]) -> Result<PathBuf> {
    let output = folder()?.join("trimtab-tests.tar");
    let assembler = cargo::program(executables, ASSEMBLER)?;
    let program = cargo::program(executables, "trimtab")?;
    assemble(assembler, Arch::here(), program, None, &output, None)?;
    Ok(output)
}

fn assemble(
    assembler: &Path,
    arch: Arch,
    program: &Path,
    packages: Option<&Path>,
    output: &Path,
    max_size: Option<u64>,
) -> Result<()> {
    let packages = match packages {
        Some(path) => path.to_owned(),
        None => debs::folder(arch)?,
    };
    let mut command = Command::new(assembler);
    command.args(["--arch", arch.name(), "--version", env!("CARGO_PKG_VERSION")]);
    command.arg("--binary").arg(program).arg("--packages").arg(&packages);
    command.arg("--output").arg(output).arg("--license").arg(source::root()?.join("LICENSE"));
    command.args(["--epoch", &source::epoch()?.to_string(), "--revision", &source::revision()]);
    if let Some(most) = max_size {
        command.args(["--max-size", &most.to_string()]);
    }
    let status = command.status().context("cannot start assemble-image")?;
    ensure!(status.success(), "the image could not be assembled");
    Ok(())
}

/// `target/image`, made if it is not there.
fn folder() -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("image");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
