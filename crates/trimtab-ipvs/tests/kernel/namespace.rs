//! A network namespace for each test, and programs run in it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Client, ModuleOptions};

/// Runs a test in a network namespace of its own, with the loopback device up: without any address
/// up, the kernel takes no address for unicast. Threads and programs that it starts are there too.
pub(crate) fn isolated(body: impl FnOnce() + Send + 'static) {
    let test = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip link set lo up");
        body();
    });
    test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// What a shell command prints; it must succeed.
#[track_caller]
pub(crate) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// The lines of a shell command, sorted.
#[track_caller]
pub(crate) fn lines(command: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        run(command).lines().map(|line| line.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

/// The table as `ipvsadm` would restore it, sorted.
#[track_caller]
pub(crate) fn saved() -> Vec<String> {
    lines("ipvsadm -Sn")
}

/// An example of this package: cargo puts it in `examples`, beside this test's `deps`.
#[track_caller]
pub(crate) fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("examples").join(name);
    let hint = "build it first: cargo build -p trimtab-ipvs --examples";
    assert!(program.is_file(), "there is no {}; {hint}", program.display());
    program
}

pub(crate) fn client() -> Client {
    Client::connect(&ModuleOptions::default()).unwrap()
}

/// Does a batch, all of which must succeed.
#[track_caller]
pub(crate) fn apply(client: &mut Client, batch: &mut Batch) {
    let report = client.apply(batch).unwrap();
    let refused: Vec<_> = report.failures.iter().map(|failure| batch.explain(failure)).collect();
    assert!(report.is_success(), "{refused:?}");
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn tcp(address: &str, port: u16) -> Frontend {
    Frontend::new(Protocol::Tcp, ip(address), port)
}

/// The virtual servers 10.96.0.0:80, 10.96.0.1:80 and so on, round robin.
pub(crate) fn numbered(number: u32) -> VirtualServer {
    let [_, high, middle, low] = number.to_be_bytes();
    let vip = IpAddr::from([10, 96 + high, middle, low]);
    VirtualServer::new(Frontend::new(Protocol::Tcp, vip, 80), Scheduler::RoundRobin)
}

pub(crate) fn masqueraded(address: &str, port: u16) -> RealServer {
    RealServer::masqueraded(RealServerKey::new(ip(address), port))
}
