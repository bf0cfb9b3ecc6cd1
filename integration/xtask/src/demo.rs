//! `cargo xtask demo`: Trimtab at work on a real kernel; `cargo xtask observe`: the same, seen by
//! Prometheus.

use std::ffi::OsString;

use anyhow::Result;

use crate::cargo::{self, PROGRAM_VARIABLE};
use crate::guest::{self, Job, Output};

/// The program that shows it, in the package `trimtab-integration`.
const DEMO: &str = "demo";
/// The program that has Prometheus watch it.
const OBSERVE: &str = "observe";

/// `cargo xtask demo`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    guest: guest::Options,
    /// Arguments of the demonstration
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    run_in_guest(DEMO, &arguments.guest, &arguments.arguments)
}

pub(crate) fn observe(arguments: &Arguments) -> Result<u8> {
    run_in_guest(OBSERVE, &arguments.guest, &arguments.arguments)
}

/// Builds `trimtab` and the program `name` of `trimtab-integration`, and runs the latter in a
/// guest, with its output shown live. Returns its exit status.
fn run_in_guest(name: &str, options: &guest::Options, arguments: &[OsString]) -> Result<u8> {
    let packages = ["--package", "trimtab", "--package", "trimtab-integration"];
    let executables =
        cargo::build(&[&packages[..], &["--bin", "trimtab", "--bin", name]].concat())?;
    let mut command = vec![cargo::program(&executables, name)?.into()];
    command.extend_from_slice(arguments);
    let job = Job::here(command)?.env(PROGRAM_VARIABLE, cargo::program(&executables, "trimtab")?);
    Ok(guest::run(options, &job, Output::Inherit)?.report())
}
