//! Balances a TCP port over two real servers, and stops doing so.
//!
//! ```text
//! balance up      what these do: ipvsadm -A -t 192.0.2.1:80 -s rr
//!                                ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m
//!                                ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.2:8080 -m
//! balance down    what this does: ipvsadm -D -t 192.0.2.1:80
//! ```
//!
//! The addresses are those of the documentation (RFC 5737), so that no traffic of the machine is
//! affected. Needs root and a kernel with IPVS.

use std::error::Error;
use std::process::ExitCode;

use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Client, ModuleOptions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up"] => up(),
        ["down"] => down(),
        _ => Err("usage: balance up|down".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn frontend() -> Result<Frontend, std::net::AddrParseError> {
    Ok(Frontend::new(Protocol::Tcp, "192.0.2.1".parse()?, 80))
}

fn up() -> Result<(), Box<dyn Error>> {
    let frontend = frontend()?;
    let mut batch = Batch::new();
    batch.add_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
    for address in ["198.51.100.1", "198.51.100.2"] {
        let key = RealServerKey::new(address.parse()?, 8080);
        batch.add_real_server(&frontend, &RealServer::masqueraded(key));
    }
    let mut client = apply(&mut batch)?;
    for observed in client.real_servers(&frontend)? {
        println!("{frontend} -> {} (weight {})", observed.server.key, observed.server.weight);
    }
    Ok(())
}

fn down() -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    // This also deletes its real servers.
    batch.delete_virtual_server(&frontend()?);
    apply(&mut batch)?;
    Ok(())
}

/// Sends the whole batch in one system call. The kernel tries every operation, even if earlier ones
/// failed, so a refusal is an entry of the report and not an error.
fn apply(batch: &mut Batch) -> Result<Client, Box<dyn Error>> {
    let mut client = Client::connect(&ModuleOptions::default())?;
    let report = client.apply(batch)?;
    if report.is_success() {
        return Ok(client);
    }
    let refused: Vec<String> = report.failures.iter().map(|f| batch.explain(f)).collect();
    Err(refused.join("; ").into())
}
