//! What the kernel finds in memory when it starts: busybox, the modules that lead to the host's
//! files, two scripts and the job.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::channels::{Channel, END_OF_STREAM};
use super::cpio::Archive;
use crate::guest::Job;
use crate::guest::kernel::Kernel;

/// The way to the host's files and to the ports.
pub(super) const MODULES: [&str; 5] =
    ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

/// The commands of the scripts, besides what a shell has built in.
const APPLETS: [&str; 14] = [
    "cat",
    "cp",
    "hostname",
    "insmod",
    "ip",
    "ln",
    "mkdir",
    "mkfifo",
    "mount",
    "poweroff",
    "sh",
    "sleep",
    "switch_root",
    "sync",
];

const INIT: &[u8] = include_bytes!("init.sh");
const STAGE: &[u8] = include_bytes!("stage.sh");

/// Writes the archive for one run of `job`.
pub(super) fn write(
    to: impl Write,
    kernel: &Kernel,
    busybox: &Path,
    out: Option<&Path>,
    job: &Job,
) -> Result<()> {
    let order = kernel.modules.load_order(MODULES)?;
    let mut archive = Archive::new(std::io::BufWriter::new(to));
    for directory in ["bin", "dev", "guest", "host", "memory", "modules", "proc", "root"] {
        archive.directory(directory)?;
    }
    // The kernel opens it for the first process, before there is a devtmpfs. mem(4), console(4).
    archive.device("dev/console", 5, 1)?;
    archive.file("init", 0o755, INIT)?;
    archive.file("guest/stage", 0o755, STAGE)?;
    archive.file("guest/settings", 0o644, &settings(kernel, out)?)?;
    archive.file("guest/job", 0o755, &job.script()?)?;
    let busybox = std::fs::read(busybox).context("cannot read busybox")?;
    archive.file("bin/busybox", 0o755, &busybox)?;
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    for (n, module) in order.into_iter().enumerate() {
        // The scripts load them in the order of their names.
        archive.file(&format!("modules/{n:02}.ko"), 0o644, &kernel.modules.content(module)?)?;
    }
    archive.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(())
}

/// The scripts' variables.
fn settings(kernel: &Kernel, out: Option<&Path>) -> Result<Vec<u8>> {
    let ports = Channel::ALL.into_iter().filter_map(|channel| {
        Some((format!("{}_PORT", channel.name()).to_uppercase(), channel.port()?.to_string()))
    });
    // For printf(1): escape_ascii would say \x00, which POSIX does not know.
    let end: Vec<_> = END_OF_STREAM.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let mut text = Vec::new();
    for (name, value) in ports.chain([
        ("VERSION".to_owned(), kernel.version.clone()),
        ("END_OF_STREAM".to_owned(), end.concat()),
    ]) {
        writeln!(text, "{name}='{value}'")?;
    }
    for (name, path) in [("MODULES", Some(kernel.folder.as_path())), ("OUT", out)] {
        let path = path.map_or(&b""[..], |path| path.as_os_str().as_bytes());
        let quoted = shlex::bytes::try_quote(path).context("a path with a zero byte")?;
        text.extend([name.as_bytes(), b"=", &quoted, b"\n"].concat());
    }
    Ok(text)
}
