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
/// The longest wait for the kernel to take down the namespaces of the runs before.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does `work` on a thread in a network namespace that nothing was in before. Its children, threads
/// and sockets are in there too; when they are gone, so is the namespace.
///
/// A flush would not do: the kernel keeps a removed real server for two minutes and walks all of
/// those whenever one is added (ip_vs_trash_get_dest, net/netfilter/ipvs/ip_vs_ctl.c).
///
/// # Errors
/// Those of `work`, and when there can be no namespace.
pub fn fresh<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    calm();
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("a new network namespace; are you root?")?;
            // Without any address up, the kernel takes no address for unicast.
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

/// Waits until the processors have little to do: the kernel takes namespaces down in the background.
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

/// Runs a program to its end; what it prints.
///
/// # Errors
/// When it fails, with its words.
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
