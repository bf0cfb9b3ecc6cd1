//! `cargo xtask bench`: benchmarks on a kernel with IPVS.

use std::ffi::OsString;

use anyhow::Result;

use crate::cargo::{self, PROGRAM_VARIABLE};
use crate::guest::{self, Job, Output};

/// `cargo xtask bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(clap::Subcommand, Debug)]
enum Bench {
    /// The batching IPVS client against a bare loop that writes the same bytes; fails above 1.3
    Ipvs(Run),
    /// A whole cluster: cold start, one change, many changes, memory, compared with a bare loop and
    /// peers
    Scale(Scale),
    /// How soon Trimtab repairs changes that other programs make in the kernel
    Repair(Repair),
    /// The data path: new connections per second and latency through a VIP, compared with direct
    /// access
    Packets(Run),
}

/// Where a benchmark runs, and its own arguments.
#[derive(clap::Args, Debug)]
struct Run {
    #[command(flatten)]
    guest: guest::Options,
    /// Arguments of the benchmark
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// What the scale benchmark measures.
#[derive(clap::Args, Debug)]
struct Scale {
    #[command(flatten)]
    guest: guest::Options,
    /// Numbers of Services, one after the other
    #[arg(long, value_name = "N,...", default_value = "1000")]
    services: String,
    /// Endpoints of each
    #[arg(long, value_name = "M", default_value_t = 10)]
    endpoints: usize,
    /// Another program to measure, such as kube-proxy=PATH; kube-proxy:nftables=PATH in that mode
    #[arg(long, value_name = "NAME=PATH")]
    peer: Vec<OsString>,
    /// Fail when a count is beyond its limit
    #[arg(long)]
    check: bool,
    /// Build without optimisation: times are then meaningless, counts are the same
    #[arg(long)]
    dev: bool,
    /// Further arguments of the benchmark: how much of each is measured
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// What the benchmark of repairs measures.
#[derive(clap::Args, Debug)]
struct Repair {
    #[command(flatten)]
    run: Run,
    /// Build without optimisation: comparisons then cost more
    #[arg(long)]
    dev: bool,
}

impl Scale {
    /// The run: its results go to the folder that the guest may write to, `target/bench` unless the
    /// command line says otherwise.
    fn run(&self) -> Run {
        let mut guest = self.guest.clone();
        let out = guest.out_or("target/bench");
        let mut arguments: Vec<OsString> = vec!["--services".into(), self.services.clone().into()];
        arguments.extend(["--endpoints".into(), self.endpoints.to_string().into()]);
        for (name, file) in [("--json", "scale.json"), ("--chart", "scale.svg"), ("--logs", "logs")]
        {
            arguments.extend([name.into(), out.join(file).into()]);
        }
        for peer in &self.peer {
            arguments.extend(["--peer".into(), peer.clone()]);
        }
        arguments.extend(self.check.then(|| "--check".into()));
        arguments.extend_from_slice(&self.arguments);
        Run { guest, arguments }
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    match &arguments.bench {
        Bench::Ipvs(run) => run_in_guest("ipvs_batch", run),
        Bench::Scale(scale) if scale.dev => run_with_program("scale", &scale.run(), &[]),
        Bench::Scale(scale) => run_with_program("scale", &scale.run(), AS_SHIPPED),
        Bench::Repair(repair) if repair.dev => run_with_program("repair", &repair.run, &[]),
        Bench::Repair(repair) => run_with_program("repair", &repair.run, AS_SHIPPED),
        Bench::Packets(run) => run_with_program("packets", run, AS_SHIPPED),
    }
}

/// How cargo builds a release.
const AS_SHIPPED: &[&str] = &["--release"];

/// As [`run_in_guest`], with the program `trimtab` built likewise, unless TRIMTAB_BIN has the path of
/// another build.
fn run_with_program(name: &str, run: &Run, profile: &[&str]) -> Result<u8> {
    let mut arguments = [profile, &["--package", "trimtab-bench", "--bin", name]].concat();
    let given = std::env::var_os(PROGRAM_VARIABLE);
    if given.is_none() {
        arguments.extend(["--package", "trimtab", "--bin", "trimtab"]);
    }
    let executables = cargo::build(&arguments)?;
    let program = match given {
        Some(path) => path,
        None => cargo::program(&executables, "trimtab")?.into(),
    };
    let mut command = vec![cargo::program(&executables, name)?.into()];
    command.extend_from_slice(&run.arguments);
    let job = Job::here(command)?.env(PROGRAM_VARIABLE, program);
    Ok(guest::run(&run.guest, &job, Output::Inherit)?.report())
}

/// Builds the program `name` of `trimtab-bench` in release mode and runs it in a guest, with its
/// output shown live. Returns its exit status.
fn run_in_guest(name: &str, run: &Run) -> Result<u8> {
    let executables = cargo::build(&["--release", "--package", "trimtab-bench", "--bin", name])?;
    let mut command = vec![cargo::program(&executables, name)?.into()];
    command.extend_from_slice(&run.arguments);
    Ok(guest::run(&run.guest, &Job::here(command)?, Output::Inherit)?.report())
}
