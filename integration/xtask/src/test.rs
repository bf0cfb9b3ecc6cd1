//! `cargo xtask test`: every test of every tier.
//!
//! First what any machine can run, by `cargo test`. Then the kernel tier: the tests marked
//! `#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]`, all in one guest. A kernel
//! test that did not run has failed, whatever the reason.

mod suite;
mod transcript;

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, ensure};

use self::suite::Suite;
use self::transcript::Transcript;
use crate::cargo::{self, PROGRAM_VARIABLE};
use crate::guest::{self, Job, Output};

/// Runs all test binaries in the guest: a shell costs an emulated machine less than a program of
/// ours would, and one guest less than many.
const DRIVER: &str = include_str!("test/driver.sh");

/// `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only the tests that need a kernel with IPVS
    #[arg(long, conflicts_with = "no_kernel")]
    kernel_only: bool,
    /// Only the tests that need no kernel with IPVS
    #[arg(long)]
    no_kernel: bool,
    /// Only tests whose names contain this
    #[arg(long, value_name = "SUBSTRING")]
    filter: Option<String>,
    #[command(flatten)]
    guest: guest::Options,
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    let filter = arguments.filter.as_deref();
    if !arguments.kernel_only {
        let mut words = vec!["test", "--workspace"];
        words.extend(filter);
        ensure!(cargo::succeeds(&words)?, "the tests that need no kernel failed");
        kubectl_tier(filter)?;
    }
    if !arguments.no_kernel {
        kernel_tier(&arguments.guest, filter)?;
    }
    Ok(0)
}

/// The fixture API server as the real `kubectl` sees it. No distribution has a current one, so this
/// tier runs where one is installed and says so where none is.
fn kubectl_tier(filter: Option<&str>) -> Result<()> {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("\nkubectl tests: NOT RUN, there is no kubectl on this machine\n");
        return Ok(());
    }
    let mut words = vec!["test", "--workspace", "--test", "api", "--", "--ignored"];
    words.push(filter.unwrap_or(suite::KUBECTL));
    ensure!(cargo::succeeds(&words)?, "the tests with kubectl failed");
    Ok(())
}

fn kernel_tier(options: &guest::Options, filter: Option<&str>) -> Result<()> {
    // The same selection as above, so that cargo unifies the same features and builds nothing anew.
    let executables = cargo::build(&["--workspace", "--bins", "--tests", "--examples"])?;
    let program = cargo::program(&executables, "trimtab")?;
    let suites = suite::with_kernel_tests(&executables, filter)?;
    ensure!(!suites.is_empty(), "no kernel test found{}", filter.map(of_name).unwrap_or_default());

    let mut command: Vec<OsString> = ["/bin/sh", "-c", DRIVER, "driver"].map(Into::into).into();
    command.push(filter.unwrap_or_default().into());
    command.extend(suites.iter().flat_map(Suite::words));
    let job = Job::here(command)?.env(PROGRAM_VARIABLE, program);
    let mut transcript = Transcript::new(std::io::stdout());
    let verdict = guest::run(options, &job, Output::To(&mut transcript))?;

    let (table, is_good) = transcript::summary(&suites, &transcript.results());
    println!("\n{table}");
    let status = verdict.report();
    ensure!(status == 0, "the guest's run of the kernel tests ended with status {status}");
    ensure!(is_good, "kernel tests failed");
    Ok(())
}

fn of_name(filter: &str) -> String {
    format!(" whose name contains `{filter}`")
}
