//! Measures the data path through proxies; see `bench/README.md`.
//!
//! Needs root, a kernel with IPVS, and the programs `ip` and `ipvsadm`. `cargo xtask bench packets`
//! builds what is to be measured and runs this in a guest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use trimtab_bench::candidate::{Candidate, Setup};
use trimtab_bench::packets::network::{Origin, Size};
use trimtab_bench::packets::report::Report;
use trimtab_bench::packets::stage::{Plan, Stage};
use trimtab_bench::packets::turn::Amount;
use trimtab_bench::packets::{conntrack, rounds, table};
use trimtab_bench::process;

/// Measures new connections per second and the latency of requests, through a VIP and directly.
#[derive(Parser)]
struct Arguments {
    /// Numbers of Services; 1 is always among them
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000")]
    services: Vec<usize>,
    /// Endpoints of each Service without clients
    #[arg(long, value_name = "M", default_value_t = 10)]
    endpoints: usize,
    /// A build of Trimtab to measure; its path is in TRIMTAB_BIN otherwise
    #[arg(long, value_name = "PATH", env = "TRIMTAB_BIN")]
    trimtab: PathBuf,
    /// Another program to measure: kube-proxy=PATH, kube-proxy:nftables=PATH, trimtab-old=PATH
    #[arg(long, value_name = "NAME=PATH")]
    peer: Vec<Candidate>,
    /// Where requests come from
    #[arg(long, value_enum, default_value_t)]
    from: Origin,
    /// Endpoints of the measured Service
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    pods: u8,
    /// Clients that call at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=50))]
    clients: u8,
    /// Where the measurements go, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where configurations and logs of the programs stay
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    #[command(flatten)]
    extent: Extent,
}

/// How much is measured.
#[derive(clap::Args)]
struct Extent {
    /// How often everything is measured, in addition to a warm-up round
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    rounds: usize,
    /// New connections in a round, of all clients at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    connections: usize,
    /// New connections in a round, of one client alone
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    singles: usize,
    /// Requests in a round on connections that are open, of one client alone
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    requests: usize,
    /// Seconds that a start may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
    /// Further settings of Trimtab, as lines below `trimtab:` in its configuration
    #[arg(long, value_name = "YAML", default_value = "")]
    trimtab_settings: String,
}

/// Seconds between comparisons with the kernel: long enough that none happens during the
/// measurement.
const SYNC_PERIOD: u64 = 24 * 3600;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let extent = &arguments.extent;
    let Extent { rounds, connections, singles, requests, .. } = *extent;
    let amount = Amount { connections, singles, requests };
    let nothing = [rounds, connections, singles, requests, arguments.endpoints].contains(&0);
    ensure!(!nothing, "nothing to measure");
    // With the round that warms up, and both ways.
    let (turns, pods) = (2 * (rounds + 1), usize::from(arguments.pods));
    let rehearsal = Plan::rehearsal(pods);
    let size = Size {
        pods: arguments.pods,
        clients: arguments.clients,
        from: arguments.from,
        connections: turns * amount.of_a_client(arguments.clients.into(), pods) + rehearsal,
    };
    let trimtab = extent.trimtab_settings.replace("\\n", "\n");
    let plan = Plan {
        size,
        endpoints: arguments.endpoints,
        setup: Setup { sync_period: SYNC_PERIOD, trimtab },
        patience: Duration::from_secs(extent.patience),
    };
    let scratch = tempfile::Builder::new().prefix("trimtab-bench-").tempdir()?;
    let logs = arguments.logs.as_deref().unwrap_or(scratch.path());
    let stages = stages(&arguments, &plan, logs)?;
    // The programs have loaded the module by now.
    conntrack::make_room(turns * amount.of_all(pods) + rehearsal)?;
    let series = rounds::measure(stages, &amount, rounds)?;
    let report = Report {
        machine: process::machine()?,
        from: arguments.from,
        pods: arguments.pods,
        clients: arguments.clients,
        endpoints: arguments.endpoints,
        amount,
        series,
    };
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    print!("\n{}", table::render(&report));
    println!(
        "\nFrom {}: {} clients, {} pods; in each of {rounds} rounds {connections} connections of \
         all clients, {singles} and {requests} requests of one. Ratios are those of the rate, of \
         a new connection and of a request on an open one. Every answer was a pod's, and IPVS has \
         counted each connection to a VIP.",
        arguments.from.as_str(),
        arguments.clients,
        arguments.pods,
    );
    Ok(())
}

/// A node without a proxy, and one for each program and number of Services.
fn stages(arguments: &Arguments, plan: &Plan, logs: &Path) -> Result<Vec<Stage>> {
    let own = format!("trimtab={}", arguments.trimtab.display());
    let mut candidates: Vec<Candidate> = vec![own.parse()?];
    candidates.extend_from_slice(&arguments.peer);
    let mut numbers = arguments.services.clone();
    numbers.push(1);
    numbers.retain(|services| *services > 0);
    numbers.sort_unstable();
    numbers.dedup();

    let mut stages = vec![Stage::bare(plan)?];
    for candidate in &candidates {
        for services in &numbers {
            eprintln!("{} starts with {services} Services", candidate.name);
            let stage = Stage::start(plan, candidate, *services, logs);
            stages.push(
                stage.with_context(|| format!("{} with {services} Services", candidate.name))?,
            );
        }
    }
    Ok(stages)
}
