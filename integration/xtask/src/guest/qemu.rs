//! A virtual machine with the distribution's kernel, on this host's files.
//!
//! The guest's root is the host's, read-only over 9p, under an overlay in memory. Five lines lead
//! out of it ([`channels`]): the kernel's console is a serial port, the command's three streams and
//! the verdict are ports of their own, so that their data does not mix.

mod accelerator;
mod channels;
mod console;
mod cpio;
mod initramfs;
mod machine;
mod session;
mod watch;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use self::session::Session;
use self::watch::End;
use super::kernel::Kernel;
use super::{Job, Options, Output, Verdict, busybox, cache, kernel, packages};

/// How many machines this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// What every machine is started with.
pub(super) struct Parts {
    kernel: Kernel,
    busybox: PathBuf,
}

impl Parts {
    /// Installs and downloads what is missing.
    pub(super) fn find() -> Result<Self> {
        packages::ensure(packages::QEMU)?;
        let kernel = kernel::find_or_fetch(&initramfs::MODULES)?;
        Ok(Self { kernel, busybox: busybox::find_or_fetch()? })
    }
}

/// Boots the kernel and runs `job` in it. Several threads may do so at once.
pub(super) fn run(
    Parts { kernel, busybox }: &Parts,
    options: &Options,
    job: &Job,
    mut output: Output<'_>,
) -> Result<Verdict> {
    let scratch = tempfile::tempdir().context("cannot make a scratch folder")?;
    let initramfs = scratch.path().join("initramfs.cpio");
    let file = File::create(&initramfs).context("cannot make the initramfs")?;
    initramfs::write(file, kernel, busybox, options.out.as_deref(), job)
        .context("cannot write the initramfs")?;
    let count = STARTED.fetch_add(1, Ordering::Relaxed);
    let log = cache::folder("log")?.join(format!("console-{}-{count}.log", std::process::id()));
    for accelerator in accelerator::candidates(&kernel.version)? {
        let session = Session {
            machine: machine::Machine {
                accelerator,
                kernel: &kernel.image,
                initramfs: &initramfs,
                memory: options.memory(),
                processors: options.cpus,
                out: options.out.as_deref(),
            },
            version: &kernel.version,
            limit: options.limit(),
            log: &log,
        };
        match session.run(&mut output)? {
            End::Verdict(Verdict::Exited(status)) => {
                // The log is only kept if the guest failed: it is large.
                let _ = std::fs::remove_file(&log);
                return Ok(Verdict::Exited(status));
            }
            End::Verdict(verdict) => {
                eprintln!("guest: the kernel's console is in {}", log.display());
                return Ok(verdict);
            }
            End::Unproven(reason) => {
                eprintln!("guest: {accelerator} does not work here: {reason}");
                accelerator::remember_failure(&kernel.version)?;
            }
        }
    }
    Ok(Verdict::Died("no accelerator works".to_owned()))
}
