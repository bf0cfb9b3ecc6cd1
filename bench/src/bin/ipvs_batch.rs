//! Measures the overhead of the batching IPVS client over the kernel's own work.
//!
//! Programs virtual servers with their real servers through `trimtab-ipvs`, encoding included, and
//! writes the same bytes in the same pieces with a bare loop of `send` and `recv`. It runs several
//! rounds, in alternating order, prints both medians and their ratio, and exits with 1 if the ratio
//! is above 1.3. A third variant, one message per `sendmsg`, shows the benefit of batching.
//!
//! Every run has a network namespace of its own. A flush is not enough: the kernel keeps a removed
//! real server for two minutes and walks all of them whenever one is added (ip_vs_trash_get_dest,
//! net/netfilter/ipvs/ip_vs_ctl.c), which at 100,000 takes minutes. Needs root and a kernel with
//! IPVS.

use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use netlink_sys::protocols::NETLINK_GENERIC;
use nix::sched::{CloneFlags, unshare};
use trimtab_bench::floor::Stream;
use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Client, ModuleOptions};

/// The limit of the client's time, as a multiple of the bare loop's.
const RATIO_MAX: f64 = 1.3;
/// Time for the kernel to remove the previous run's namespace.
const PAUSE: Duration = Duration::from_secs(1);
/// Virtual servers that go in one batch.
const SLICE: usize = 500;

/// Measures the batching IPVS client against a bare loop that writes the same bytes.
#[derive(Parser)]
struct Arguments {
    /// Virtual servers.
    #[arg(long, default_value_t = 10_000)]
    services: u32,
    /// Real servers of each.
    #[arg(long, default_value_t = 10)]
    endpoints: u32,
    /// How often each way is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure instead the client alone, with pieces of these many bytes.
    #[arg(long, value_delimiter = ',')]
    pieces: Vec<usize>,
    /// Measure instead how long it takes to read everything back.
    #[arg(long)]
    read: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.services > 0 && arguments.rounds > 0, "nothing to measure");
    let table = Table::new(arguments.services, arguments.endpoints);
    if arguments.read {
        read(&table, arguments.rounds)?;
    } else if arguments.pieces.is_empty() {
        let ratio = compare(&table, arguments.rounds)?;
        if ratio > RATIO_MAX {
            eprintln!("the client costs more than {RATIO_MAX} times the bare loop");
            return Ok(ExitCode::FAILURE);
        }
    } else {
        pieces(&table, &arguments.pieces, arguments.rounds)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(table: &Table, rounds: usize) -> Result<f64> {
    // A first run records the bytes as sent: numbered, and split into pieces.
    let mut bytes = Vec::new();
    let first =
        run(table, |client| through_client(client, table, |slice| bytes.extend_from_slice(slice)))?;
    let bare = Stream::cut(NETLINK_GENERIC, bytes)?;
    let single = run(table, |client| {
        client.socket().limit_piece(1);
        through_client(client, table, |_| {})
    })?;
    let (mut client, mut floor) = (Vec::new(), Vec::new());
    for round in 0..2 * rounds {
        // Client, bare, bare, client, ...: so that neither always runs second.
        if matches!(round % 4, 0 | 3) {
            client.push(run(table, |client| through_client(client, table, |_| {}))?);
        } else {
            floor.push(run(table, |_| bare.send())?);
        }
    }
    let (client, floor) = (median(client), median(floor));
    println!(
        "{} virtual servers, {} messages, {} bytes, {} pieces",
        table.rows.len(),
        bare.messages,
        bare.bytes.len(),
        bare.pieces.len(),
    );
    let line = |what: &str, time: Duration| {
        let ratio = time.as_secs_f64() / floor.as_secs_f64();
        println!("{what:30} {:9.4} s  {ratio:7.3}", time.as_secs_f64());
        ratio
    };
    line("bare loop, median", floor);
    line("message by message, one run", single);
    line("batching client, first run", first);
    Ok(line("batching client, median", client))
}

fn pieces(table: &Table, sizes: &[usize], rounds: usize) -> Result<()> {
    let mut times = vec![Vec::new(); sizes.len()];
    for _ in 0..rounds {
        for (size, times) in sizes.iter().zip(&mut times) {
            times.push(run(table, |client| {
                client.socket().limit_piece_bytes(*size);
                through_client(client, table, |_| {})
            })?);
        }
    }
    for (size, times) in sizes.iter().zip(times) {
        println!("pieces of {size:8} bytes: median {:.4} s", median(times).as_secs_f64());
    }
    Ok(())
}

fn read(table: &Table, rounds: usize) -> Result<()> {
    let (mut virtual_servers, mut real_servers) = (Vec::new(), Vec::new());
    run(table, |client| {
        through_client(client, table, |_| {})?;
        for _ in 0..rounds {
            let (first, second) = table.find_in_kernel(client)?;
            virtual_servers.push(first);
            real_servers.push(second);
        }
        Ok(())
    })?;
    println!("reading virtual servers: median {:.3} s", median(virtual_servers).as_secs_f64());
    println!("reading real servers:    median {:.3} s", median(real_servers).as_secs_f64());
    Ok(())
}

/// Runs `work` in a network namespace of its own and checks that the kernel then holds the table.
fn run<T: Send>(table: &Table, work: impl FnOnce(&mut Client) -> Result<T> + Send) -> Result<T> {
    let result = thread::scope(|scope| {
        let run = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("a new network namespace")?;
            // Unless an interface with an address is up, the kernel accepts no address as unicast.
            let ip = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
            ensure!(ip.success(), "cannot bring up the loopback device");
            let mut client = Client::connect(&ModuleOptions::default())?;
            let result = work(&mut client)?;
            table.find_in_kernel(&mut client)?;
            Ok(result)
        });
        run.join().map_err(|_| anyhow!("the run panicked"))?
    });
    thread::sleep(PAUSE);
    result
}

/// Includes encoding. The table is sent in slices, so that the batch stays in the cache; `sent`
/// gets each one as sent to the kernel.
fn through_client(
    client: &mut Client,
    table: &Table,
    mut sent: impl FnMut(&[u8]),
) -> Result<Duration> {
    let start = Instant::now();
    let mut batch = Batch::new();
    for slice in table.rows.chunks(SLICE) {
        batch.clear();
        for (server, real_servers) in slice {
            batch.add_virtual_server(server);
            for real_server in real_servers {
                batch.add_real_server(&server.frontend, real_server);
            }
        }
        let report = client.apply(&mut batch)?;
        if let Some(failure) = report.failures.first() {
            bail!("{}", batch.explain(failure));
        }
        sent(batch.as_bytes());
    }
    Ok(start.elapsed())
}

/// What is programmed.
struct Table {
    rows: Vec<(VirtualServer, Vec<RealServer>)>,
}

impl Table {
    fn new(services: u32, endpoints: u32) -> Self {
        let vips = Ipv4Addr::new(10, 96, 0, 1).to_bits();
        let pods = Ipv4Addr::new(10, 128, 0, 1).to_bits();
        let rows = (0..services)
            .map(|number| {
                let vip = Ipv4Addr::from_bits(vips + number);
                let frontend = Frontend::new(Protocol::Tcp, vip.into(), 80);
                let first = pods + number * endpoints;
                let real_servers = (first..first + endpoints)
                    .map(|bits| RealServerKey::new(Ipv4Addr::from_bits(bits).into(), 8080))
                    .map(RealServer::masqueraded)
                    .collect();
                (VirtualServer::new(frontend, Scheduler::RoundRobin), real_servers)
            })
            .collect();
        Self { rows }
    }

    /// Counts the objects in the kernel; returns how long each part took.
    fn find_in_kernel(&self, client: &mut Client) -> Result<(Duration, Duration)> {
        let start = Instant::now();
        let listing = client.virtual_servers()?;
        let first = start.elapsed();
        let found = listing.entries.len();
        ensure!(found == self.rows.len(), "{found} virtual servers found");
        let mut found = 0;
        let start = Instant::now();
        let frontends = listing.into_iter().map(|observed| observed.server.frontend);
        client.real_servers_of(frontends, |_, servers| found += servers.entries.len())?;
        let second = start.elapsed();
        let there: usize = self.rows.iter().map(|(_, servers)| servers.len()).sum();
        ensure!(found == there, "{found} of {there} real servers found");
        Ok((first, second))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
