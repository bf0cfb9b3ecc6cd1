//! This host's own kernel, in namespaces of its own.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::child;
use super::{Job, Options, Output, Verdict};

/// What a command finds when it starts. A fresh /run keeps `ip netns` of the host apart, a fresh
/// /sys shows the namespace's own links. The `exit` keeps the shell, which is PID 1 here, from
/// becoming the command: as PID 1 it would ignore its own `abort()`.
const ENTER: &str = r#"
mount -t tmpfs run /run && mount -t sysfs sys /sys && ip link set lo up || exit 125
"$@"
exit $?
"#;

/// Tests the kernel by using it: even if modules load here, network namespaces may be missing.
const PROOF: &str = r"
set -e
modprobe -q -a ip_vs dummy || true
test -r /proc/net/ip_vs || { echo it has no ip_vs >&2; exit 1; }
ipvsadm -A -t 192.0.2.1:80 -s rr
ip link add proof type dummy
ipset create proof hash:ip,port
";

/// Fails with the reason if this host's kernel cannot be used.
pub(super) fn has_ipvs() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can make network namespaces");
    let proof = namespaces()
        .args(["sh", "-c", PROOF])
        .stdin(Stdio::null())
        .output()
        .context("cannot start unshare")?;
    if !proof.status.success() {
        bail!("this kernel will not do: {}", String::from_utf8_lossy(&proof.stderr).trim());
    }
    Ok(())
}

/// Memory and processors are the host's; so are its files, --out or not.
pub(super) fn run(options: &Options, job: &Job, output: Output<'_>) -> Result<Verdict> {
    has_ipvs()?;
    eprintln!("guest: this host's kernel");
    let mut command = namespaces();
    command.args(&job.command).current_dir(&job.directory).env_clear().envs(&job.environment);
    child::run(command, options.limit(), output)
}

fn namespaces() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]).args([
        "--mount-proc",
        "sh",
        "-c",
        ENTER,
        "sh",
    ]);
    command
}
