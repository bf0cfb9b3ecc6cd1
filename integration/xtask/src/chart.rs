//! `cargo xtask chart`: checks the Helm chart and that the generated files are up to date.
//!
//! deploy/chart/tests/check.py does the work, with Helm's own library; this module provides a
//! Python with the packages that it needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

const TESTS: &str = "deploy/chart/tests";

/// `cargo xtask chart`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Write the generated files instead of comparing them
    #[arg(long)]
    write: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    let python = python()?;
    let mut check = Command::new(python);
    // Leave no files in the repository.
    check.arg("-B").arg(Path::new(TESTS).join("check.py"));
    check.args(arguments.write.then_some("--write"));
    let status = check.status().context("cannot start Python")?;
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

/// A Python with the packages of requirements.txt: a virtual environment, recreated when they
/// change.
fn python() -> Result<PathBuf> {
    let wanted = Path::new(TESTS).join("requirements.txt");
    let requirements = std::fs::read_to_string(&wanted)
        .with_context(|| format!("cannot read {} (is this the tree's root?)", wanted.display()))?;
    let folder = cargo::target_folder()?.join("chart-python");
    let python = folder.join("bin/python");
    let made_of = folder.join("requirements.txt");
    if std::fs::read_to_string(&made_of).is_ok_and(|present| present == requirements) {
        return Ok(python);
    }
    eprintln!("chart: installing Helm's library from PyPI (75 MB) to {}", folder.display());
    run(
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder),
        "Python 3.11 or later with venv is needed; in Debian: apt-get install python3-venv",
    )?;
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"];
    run(
        Command::new(&python).args(install).arg("--requirement").arg(&wanted),
        "cannot install what the chart's tests need",
    )?;
    std::fs::write(&made_of, requirements)
        .with_context(|| format!("cannot write {}", made_of.display()))?;
    Ok(python)
}

fn run(command: &mut Command, otherwise: &'static str) -> Result<()> {
    let status = command.status().context(otherwise)?;
    ensure!(status.success(), "{otherwise}");
    Ok(())
}
