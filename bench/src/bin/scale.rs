//! Measures proxies with clusters of several sizes; see `bench/README.md`.
//!
//! Needs root, a kernel with IPVS, and the programs `ip`, `ipset`, `ipvsadm` and `chrt`.
//! `cargo xtask bench scale` builds what is to be measured and runs this in a guest.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use test_api::Cluster;
use trimtab_bench::candidate::{Binding, Candidate, Setup};
use trimtab_bench::phase::Extent;
use trimtab_bench::report::{Report, Run};
use trimtab_bench::{chart, floor, limits, phase, process, table};

/// Measures service proxies with synthetic clusters.
#[derive(Parser)]
struct Arguments {
    /// Numbers of Services
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000")]
    services: Vec<usize>,
    /// Endpoints of each
    #[arg(long, value_name = "M", default_value_t = 10)]
    endpoints: usize,
    /// A build of Trimtab to measure; its path is in TRIMTAB_BIN otherwise
    #[arg(long, value_name = "PATH", env = "TRIMTAB_BIN", required_unless_present = "from")]
    trimtab: Option<PathBuf>,
    /// How it binds VIPs: it is measured once for each way
    #[arg(long, value_name = "WAY", value_delimiter = ',', default_value = "address,route")]
    bindings: Vec<String>,
    /// Another program to measure: kube-proxy=PATH, kube-proxy:nftables=PATH, trimtab-old=PATH
    #[arg(long, value_name = "NAME=PATH")]
    peer: Vec<Candidate>,
    /// Where the measurements go, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the chart goes, as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Where configurations and logs of the programs stay
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Fail when a count is beyond its limit
    #[arg(long)]
    check: bool,
    /// Measure nothing: read this JSON file, and print its table and draw its chart
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    from: Option<PathBuf>,
    #[command(flatten)]
    amount: Amount,
}

/// How much is measured. 0 leaves a part out; the bare loop cannot be left out.
#[derive(clap::Args)]
struct Amount {
    /// How often the bare loop is measured, at least once
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    floor_rounds: usize,
    /// Single changes
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    events: usize,
    /// Changes a second in the churn
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    churn_rate: u32,
    /// Seconds of churn
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    churn: u32,
    /// Seconds in which nothing happens
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    idle: u32,
    /// Endpoints that the rolling update replaces, a multiple of 100
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    rolling: usize,
    /// Seconds between comparisons with the kernel
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    sync_period: u64,
    /// Timeout in seconds, of a start and of all single changes together
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
    /// Further settings of Trimtab, as lines below `trimtab:` in its configuration
    #[arg(long, value_name = "YAML", default_value = "")]
    trimtab_settings: String,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = match &arguments.from {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            serde_json::from_str(&text).with_context(|| path.display().to_string())?
        }
        None => measure(&arguments)?,
    };
    print!("\n{}", table::render(&report));
    if let Some(path) = &arguments.chart {
        let chart = chart::render(&report).context("no single change was measured")?;
        std::fs::write(path, chart).with_context(|| path.display().to_string())?;
    }
    if arguments.check {
        let violations = limits::violations(&report);
        for violation in &violations {
            eprintln!("{violation}");
        }
        if !violations.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        println!("\nall counts are within their limits");
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let Amount { floor_rounds, rolling, sync_period, .. } = arguments.amount;
    ensure!(floor_rounds > 0, "--floor-rounds must be at least 1");
    ensure!(arguments.endpoints > 0, "--endpoints must be at least 1");
    ensure!(rolling.is_multiple_of(100), "--rolling: slices have 100 endpoints each");
    let mut candidates: Vec<Candidate> = Vec::new();
    let trimtab = arguments.trimtab.as_deref().context("--trimtab is missing")?;
    for binding in &arguments.bindings {
        candidates.push(format!("trimtab:{binding}={}", trimtab.display()).parse()?);
    }
    candidates.extend_from_slice(&arguments.peer);
    let setup =
        Setup { sync_period, trimtab: arguments.amount.trimtab_settings.replace("\\n", "\n") };
    let extent = extent(&arguments.amount);
    let scratch = tempfile::Builder::new().prefix("trimtab-bench-").tempdir()?;
    let logs = arguments.logs.as_deref().unwrap_or(scratch.path());
    let settings = setup.trimtab.clone();
    let mut report =
        Report { machine: process::machine()?, sync_period, settings, runs: Vec::new() };
    for services in &arguments.services {
        let cluster = Cluster::synthetic(*services, arguments.endpoints, 1);
        eprintln!("{services} Services: the bare loop");
        let floors = [Binding::Address, Binding::Route].map(|binding| {
            let is_used = candidates.iter().any(|candidate| candidate.binding() == binding);
            is_used.then(|| floor::measure(&cluster, binding, floor_rounds)).transpose()
        });
        let [address, route] = floors;
        let (address, route) = (address?.unwrap_or_default(), route?.unwrap_or_default());
        let mut run =
            Run { services: *services, endpoints: arguments.endpoints, proxies: Vec::new() };
        for candidate in &candidates {
            eprintln!("{services} Services: {}", candidate.name);
            let floor = match candidate.binding() {
                Binding::Address => &address,
                Binding::Route => &route,
            };
            run.proxies.push(phase::measure(candidate, &cluster, floor, &setup, &extent, logs)?);
        }
        report.runs.push(run);
        // Keep the results so far, in case the next cluster is too large for the machine.
        if let Some(path) = &arguments.json {
            let text = serde_json::to_string_pretty(&report)?;
            std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
        }
    }
    Ok(report)
}

fn extent(amount: &Amount) -> Extent {
    Extent {
        events: amount.events,
        churn_rate: amount.churn_rate,
        churn_seconds: amount.churn,
        idle_seconds: amount.idle,
        rolling_endpoints: amount.rolling,
        patience: Duration::from_secs(amount.patience),
        settle: Duration::from_secs(2),
    }
}
