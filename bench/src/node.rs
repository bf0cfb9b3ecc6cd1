//! A network namespace for one measurement.

use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, unshare};

use crate::process;

/// The address that [`test_api::Cluster`] gives its first node.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
/// The longest wait for the kernel to remove the namespaces of earlier runs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `work` on a thread in a new network namespace. Its children, threads and sockets are in it,
/// too; when they are gone, so is the namespace.
///
/// A flush is not enough: the kernel keeps a removed real server for two minutes and walks all of
/// them whenever one is added (ip_vs_trash_get_dest, net/netfilter/ipvs/ip_vs_ctl.c).
///
/// # Errors
/// Those of `work`, and when there can be no namespace.
pub fn fresh<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    calm();
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("a new network namespace; are you root?")?;
            // Unless an interface with an address is up, the kernel accepts no address as unicast.
            run("ip", &["link", "set", "lo", "up"])?;
            run("ip", &["link", "add", "uplink", "type", "dummy"])?;
            run("ip", &["address", "add", &format!("{ADDRESS}/16"), "dev", "uplink"])?;
            run("ip", &["link", "set", "uplink", "up"])?;
            run("ip", &["route", "add", "default", "dev", "uplink"])?;
            work()
        });
        inside.join().map_err(|_| anyhow!("the run panicked"))?
    })
}

/// Waits until the processors are nearly idle: the kernel removes namespaces in the background.
pub fn calm() {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let Ok(before) = process::idle_share() else { return };
        thread::sleep(Duration::from_millis(300));
        let Ok(after) = process::idle_share() else { return };
        if after.idle_since(&before) > 0.9 {
            return;
        }
    }
}

/// Runs a program and returns its output.
///
/// # Errors
/// When it fails, with its error output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("{program} prints no UTF-8"))
}
