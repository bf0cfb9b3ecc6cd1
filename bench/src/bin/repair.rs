//! Measures how soon Trimtab repairs changes that other programs make in the kernel; see
//! `bench/README.md`.
//!
//! Needs root, a kernel with IPVS, and the programs `ip`, `ipset`, `ipvsadm`, `iptables-nft`, `nft`
//! and `chrt`. `cargo xtask bench repair` builds what is to be measured and runs this in a guest.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use test_api::Cluster;
use trimtab_bench::candidate::{Candidate, Running, Setup};
use trimtab_bench::load::Load;
use trimtab_bench::repair::{self, Fault};
use trimtab_bench::{node, process, scrape, witness};

/// Measures how soon Trimtab repairs changes that other programs make in the kernel.
#[derive(Parser)]
struct Arguments {
    /// Number of Services
    #[arg(long, value_name = "N", default_value_t = 5000)]
    services: usize,
    /// Endpoints of each
    #[arg(long, value_name = "M", default_value_t = 10)]
    endpoints: usize,
    /// The build of Trimtab to measure
    #[arg(long, value_name = "PATH", env = "TRIMTAB_BIN")]
    trimtab: PathBuf,
    /// Seconds between comparisons with the kernel
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    sync_period: u64,
    /// How often each fault is injected
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    rounds: usize,
    /// Seconds in which nothing happens, to measure the cost of comparisons
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    idle: u64,
    /// Seconds that a start and a repair may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

/// Pause between two faults, so that the look after one does not delay that after the next.
const PAUSE: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    node::fresh(|| measure(&arguments))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let patience = Duration::from_secs(arguments.patience);
    let folder = tempfile::Builder::new().prefix("trimtab-bench-").tempdir()?;
    let cluster = Cluster::synthetic(arguments.services, arguments.endpoints, 1);
    let load = Load::start(cluster, folder.path())?;
    let candidate: Candidate = format!("trimtab={}", arguments.trimtab.display()).parse()?;
    let trimtab = "iptablesBackend: nft".to_owned();
    let setup = Setup { sync_period: arguments.sync_period, trimtab };
    let mut running = candidate.start(folder.path(), load.kubeconfig(), &setup)?;
    wait_until_ready(&mut running, patience)?;
    witness::be_idle()?;
    println!(
        "{} Services x {}, syncPeriod {} s, {} rounds",
        arguments.services, arguments.endpoints, arguments.sync_period, arguments.rounds
    );
    println!("\n| fault | repaired after, s: least / median / most |\n| --- | --: |");
    for fault in repair::told() {
        rows(&[fault], arguments, &mut running, patience)?;
    }
    rows(&repair::silent(load.cluster()), arguments, &mut running, patience)?;
    rows(&[repair::all_of_ipvs()], arguments, &mut running, patience)?;
    // A complete comparison without changes or other load.
    let audits = || scrape::metrics().ok()?.sum("trimtab_audits_total", "");
    let (audits_before, before) = (audits().unwrap_or(0.0), process::cpu(running.pid())?);
    let start = Instant::now();
    thread::sleep(Duration::from_secs(arguments.idle));
    let cpu = (process::cpu(running.pid())? - before).total();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "\nwith nothing to do: {:.2} % of a processor, {} complete comparisons in {seconds:.0} s",
        100.0 * cpu / seconds,
        audits().unwrap_or(0.0) - audits_before,
    );
    running.terminate()
}

/// Measures some faults together, several times, and prints a row for each.
fn rows(
    faults: &[Fault],
    arguments: &Arguments,
    running: &mut Running,
    patience: Duration,
) -> Result<()> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); faults.len()];
    for _ in 0..arguments.rounds {
        thread::sleep(PAUSE);
        let took = repair::measure(faults, running, patience)?;
        for (all, one) in times.iter_mut().zip(took) {
            all.push(one);
        }
    }
    for (fault, mut all) in faults.iter().zip(times) {
        all.sort_by(f64::total_cmp);
        let (least, most) = (all.first().context("no rounds")?, all.last().context("no rounds")?);
        let median = all[all.len() / 2];
        println!("| {} | {least:.2} / {median:.2} / {most:.2} |", fault.what);
    }
    Ok(())
}

fn wait_until_ready(running: &mut Running, patience: Duration) -> Result<()> {
    const PROBES: u16 = 10256;
    while running.begin.elapsed() < patience {
        running.check()?;
        if scrape::get(PROBES, "/readyz").is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("not ready in time")
}
