//! Assembles Trimtab's container image: `cargo xtask image` calls this.
//!
//! | module | what it knows |
//! |---|---|
//! | [`tree`] | the files of an image, by path |
//! | [`debian`] | what is in a Debian package |
//! | [`contents`] | which files make up the image, and why |
//! | [`elf`] | which libraries a program needs |
//! | [`layer`] | files as a compressed archive |
//! | [`oci`] | layers as an image |

mod contents;
mod debian;
mod digest;
mod elf;
mod layer;
mod oci;
mod tree;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use self::contents::Contents;
use self::elf::Architecture;
use self::layer::Layer;
use self::oci::Description;

/// Assembles the image from a program and Debian packages; the same input gives the same bytes.
#[derive(Debug, Parser)]
#[command(name = "assemble-image")]
struct Arguments {
    /// The architecture that everything in the image must have
    #[arg(long, value_enum)]
    arch: Architecture,
    /// The program `trimtab`
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Its licence
    #[arg(long, value_name = "FILE")]
    license: PathBuf,
    /// Debian packages: files that end in .deb
    #[arg(long, value_name = "DIRECTORY")]
    packages: PathBuf,
    /// Where the image goes: an OCI layout as a tar archive
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Seconds since 1970 that everything in the image is dated with
    #[arg(long, value_name = "SECONDS")]
    epoch: u64,
    /// The version of the program, which is also the image's tag
    #[arg(long)]
    version: String,
    /// The commit that the program was built from
    #[arg(long)]
    revision: String,
    /// Fail if the archive is larger
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let packages = debian::read_folder(&arguments.packages)?;
    let contents = Contents::select(
        arguments.arch,
        packages,
        read(&arguments.binary)?,
        read(&arguments.license)?,
    )?;
    let layers = [
        Layer::pack(&contents.packages, arguments.epoch, "Debian packages")?,
        Layer::pack(&contents.program, arguments.epoch, "the program trimtab")?,
    ];
    let description = Description {
        architecture: arguments.arch,
        epoch: arguments.epoch,
        version: &arguments.version,
        revision: &arguments.revision,
    };
    let image = oci::archive(&description, &layers)?;
    let size = image.bytes.len() as u64;
    std::fs::write(&arguments.output, &image.bytes)
        .with_context(|| format!("cannot write {}", arguments.output.display()))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", arguments.output.display())?;
    writeln!(out, "digest {}", image.digest)?;
    for layer in &layers {
        writeln!(out, "layer  {} bytes: {}", layer.compressed.len(), layer.title)?;
    }
    writeln!(out, "size   {size} bytes")?;
    if let Some(most) = arguments.max_size {
        ensure!(size <= most, "the image has {size} bytes and may have {most}");
    }
    Ok(())
}
