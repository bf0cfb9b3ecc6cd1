//! `cargo xtask test`: every test of every tier.
//!
//! First what any machine can run, by `cargo test`. Then the kernel tier: the tests marked
//! `#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]`, each in a process of its own,
//! in as many guests at once as there are processors. A kernel test that did not run has failed,
//! whatever the reason. A few that failed are run a second time, alone in a guest; the summary calls
//! those that pass then flaky.
//!
//! | module | what it knows |
//! |---|---|
//! | [`suite`] | which kernel tests there are |
//! | [`order`] | in which order they run |
//! | [`queue`] | which of them the next guest gets |
//! | [`crew`] | the guests at work |
//! | [`again`] | which tests get a second try, and what it says |
//! | [`transcript`], [`summary`] | what a guest printed, and what it all came to |

mod again;
mod crew;
mod order;
mod queue;
mod suite;
mod summary;
mod transcript;

use std::num::NonZeroUsize;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use self::order::Seed;
use self::suite::Test;
use crate::cargo::{self, PROGRAM_VARIABLE};
use crate::guest::{self, Runner, packages};
use crate::image::{self, IMAGE_VARIABLE};

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
    /// Run the kernel tests in an order that SEED decides; the seed is printed, and is a random one
    /// unless given
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "random")]
    shuffle: Option<Seed>,
    /// Run the kernel tests in so many guests at once; one for each processor unless given, as far
    /// as the memory reaches
    #[arg(long, value_name = "N")]
    guests: Option<NonZeroUsize>,
    /// Fail if a kernel test fails, even if it would pass at a second try
    #[arg(long)]
    no_second_try: bool,
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
        kernel_tier(arguments, filter)?;
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

fn kernel_tier(arguments: &Arguments, filter: Option<&str>) -> Result<()> {
    // The same selection as above, so that cargo unifies the same features and builds nothing anew.
    let executables = cargo::build(&["--workspace", "--bins", "--tests", "--examples"])?;
    let program = cargo::program(&executables, "trimtab")?;
    let mut tests = suite::kernel_tests(&executables, filter)?;
    ensure!(!tests.is_empty(), "no kernel test found{}", filter.map(of_name).unwrap_or_default());
    if let Some(seed) = arguments.shuffle {
        order::shuffle(&mut tests, seed);
    }

    let mut variables = vec![(PROGRAM_VARIABLE, program.to_owned())];
    if tests.iter().any(Test::needs_the_image) {
        packages::ensure(packages::CONTAINERS)?;
        variables.push((IMAGE_VARIABLE, image::for_tests(&executables)?));
    }
    let started = Instant::now();
    let runner = Runner::find(&arguments.guest)?;
    let at_once = crew::size(&runner, arguments.guests)?.min(tests.len());
    let order = arguments.shuffle.map(of_seed).unwrap_or_default();
    println!("\n{} kernel tests, guests at once: {at_once}{order}", tests.len());
    let mut run = crew::run(&runner, &arguments.guest, &tests, at_once, &variables)?;
    let failed = again::numbers(&tests, &run.reports);
    let mut flaky = Vec::new();
    if !failed.is_empty() && !arguments.no_second_try {
        println!("\ntried again, alone in a guest: {}", failed.len());
        let tests: Vec<Test> = failed.iter().map(|number| tests[*number].clone()).collect();
        let second = crew::run(&runner, &arguments.guest, &tests, 1, &variables)?;
        run.guests += second.guests;
        flaky = again::merge(&mut run.reports, &failed, second.reports);
    }

    let (text, is_good) = summary::summary(&tests, &run.reports, &flaky);
    let (seconds, guests) = (started.elapsed().as_secs(), run.guests);
    println!("\n{text}, in {seconds} s and {guests} guests, {at_once} at once{order}");
    ensure!(is_good, "kernel tests failed");
    ensure!(run.broken == 0, "{} guests did not end well", run.broken);
    Ok(())
}

fn of_seed(seed: Seed) -> String {
    format!(", in the order of --shuffle {seed}")
}

fn of_name(filter: &str) -> String {
    format!(" whose name contains `{filter}`")
}
