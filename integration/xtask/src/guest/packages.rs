//! The programs that guests need on this machine, and the packages that contain them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A program and the Debian and Ubuntu package that has it.
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// What commands in a guest use, tests above all; every guest sees this machine's files.
pub(super) const GUEST: &[Program] = &[
    program("conntrack", "conntrack"),
    program("ip", "iproute2"),
    program("ip6tables-restore", "iptables"),
    program("ipset", "ipset"),
    program("iptables-restore", "iptables"),
    program("ipvsadm", "ipvsadm"),
    program("modprobe", "kmod"),
    program("sysctl", "procps"),
];

/// What the test of the pod uses: a container engine, its runtime, and the program of the container
/// that only holds a pod together.
pub(crate) const CONTAINERS: &[Program] =
    &[program("catatonit", "catatonit"), program("podman", "podman"), program("runc", "runc")];

/// What starting a virtual machine needs.
pub(super) const QEMU: &[Program] = &[
    program("apt-get", "apt"),
    program("depmod", "kmod"),
    program("dpkg-deb", "dpkg"),
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("setpriv", "util-linux"),
    program("xz", "xz-utils"),
    program("zstd", "zstd"),
];

/// Installs what is missing, or says how to.
pub(crate) fn ensure(programs: &[Program]) -> Result<()> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    ensure!(is_installed("apt-get"), "missing, under these names in Debian: {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() {
        bail!("missing packages; run: sudo {install}");
    }
    eprintln!("guest: installing {}", missing.join(" "));
    // On a new machine the lists are empty, and the first attempt fails at once.
    if apt_get_install(&missing).is_err() {
        apt_get_update()?;
        apt_get_install(&missing).with_context(|| format!("`{install}` failed"))?;
    }
    Ok(())
}

/// Updates the package lists; packages of an old list may be gone from the mirror.
pub(crate) fn apt_get_update() -> Result<()> {
    run(Command::new("apt-get").args(["-qq", "update"]))
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120", "install", "--no-install-recommends"])
        .arg("--yes")
        .args(packages))
}

/// Runs `command` and keeps its output for the error message.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs `command` and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(
        output.status.success(),
        "{name}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
}

fn missing(programs: &[Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs
        .iter()
        .filter(|program| !is_installed(program.name))
        .map(|program| program.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Looks where root's programs are, too: they need not be in a user's PATH.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .any(|directory| directory.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_told_as_packages_each_once() {
        let programs = [("sh", "dash"), ("no-such-1", "p"), ("no-such-2", "o"), ("no-such-3", "p")]
            .map(|(name, package)| program(name, package));
        assert_eq!(missing(&programs), ["o", "p"]);
    }

    #[test]
    fn a_failed_command_is_told_in_its_own_words() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
