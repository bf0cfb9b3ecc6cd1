//! KVM where it really boots, else TCG, QEMU's own emulation.
//!
//! That /dev/kvm can be opened proves nothing: in a virtual machine, every kernel may hang on it
//! without any output. So the kernel must print something under KVM in time; if it does not, that
//! is remembered, for this kernel and until the host reboots.

use std::fmt;
use std::fs::OpenOptions;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::guest::cache;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// What to try, in this order.
pub(super) fn candidates(kernel: &str) -> Result<Vec<Accelerator>> {
    let has_device = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let has_failed = std::fs::read_to_string(memory()?).is_ok_and(|note| note == subject(kernel));
    Ok(if has_device && !has_failed {
        vec![Accelerator::Kvm, Accelerator::Tcg]
    } else {
        vec![Accelerator::Tcg]
    })
}

/// Has [`candidates`] leave KVM out from now on.
pub(super) fn remember_failure(kernel: &str) -> Result<()> {
    let path = memory()?;
    std::fs::write(&path, subject(kernel))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn memory() -> Result<PathBuf> {
    Ok(cache::folder("accelerator")?.join("kvm-does-not-boot"))
}

/// A failure applies to this kernel, on this machine, until it reboots.
fn subject(kernel: &str) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{kernel} {}", boot.trim())
}
