//! Loading the kernel module.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::ModuleError;

const MODULE: &str = "ip_vs";

/// Whether and how to load `ip_vs` when the kernel does not have it. Its schedulers load by
/// themselves when first named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleOptions {
    /// Whether to load it at all.
    pub load: bool,
    /// Parameters as modprobe takes them, such as `conn_tab_bits=20`; without effect on a module
    /// that is loaded already.
    pub parameters: Vec<String>,
    /// The program that loads it; a bare name is looked up in `PATH`, `/usr/sbin` and `/sbin`.
    pub modprobe: PathBuf,
}

impl Default for ModuleOptions {
    /// Loaded by `modprobe` without parameters.
    fn default() -> Self {
        Self { load: true, parameters: Vec::new(), modprobe: "modprobe".into() }
    }
}

impl ModuleOptions {
    /// Not loaded: a kernel without IPVS is an error.
    pub fn never() -> Self {
        Self { load: false, ..Self::default() }
    }

    /// Loaded with a connection table of 2 to the power of `bits` buckets, 8 to 20 on most
    /// kernels; the module's own default is 12.
    #[must_use]
    pub fn connection_table_bits(mut self, bits: u8) -> Self {
        self.parameters.push(format!("conn_tab_bits={bits}"));
        self
    }
}

/// Runs modprobe, once.
pub(crate) fn load(options: &ModuleOptions) -> Result<(), ModuleError> {
    if !options.load {
        return Err(ModuleError::NotLoaded);
    }
    let output = run(options)?;
    if output.status.success() {
        return Ok(());
    }
    // modprobe has no exit status for each reason; its words, in the C locale, are all there is.
    let said = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    Err(if text.contains("Operation not permitted") || text.contains("Permission denied") {
        ModuleError::NotPermitted { text }
    } else if is_not_found(&text) {
        ModuleError::NotFound { release: release(), text }
    } else {
        ModuleError::Failed {
            program: options.modprobe.clone(),
            arguments: arguments(options).collect::<Vec<_>>().join(" "),
            status: output.status,
            text,
        }
    })
}

fn run(options: &ModuleOptions) -> Result<Output, ModuleError> {
    let failed = |source| ModuleError::Run { program: options.modprobe.clone(), source };
    for program in candidates(&options.modprobe) {
        let output = Command::new(program)
            .args(arguments(options))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) => return Ok(output),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(ModuleError::NoModprobe { program: options.modprobe.clone() })
}

fn arguments(options: &ModuleOptions) -> impl Iterator<Item = &str> {
    std::iter::once(MODULE).chain(options.parameters.iter().map(String::as_str))
}

/// A daemon's `PATH` often lacks the directories of the system's programs.
fn candidates(program: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![program.to_owned()];
    if program.components().count() == 1 {
        candidates
            .extend(["/usr/sbin", "/sbin"].map(|directory| Path::new(directory).join(program)));
    }
    candidates
}

/// kmod says `Module ip_vs not found in directory`, busybox `module ip_vs not found in
/// modules.dep` or `can't change directory to '/lib/modules'`.
fn is_not_found(text: &str) -> bool {
    text.contains("not found in") || text.contains("can't change directory")
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "of unknown release".to_owned(), |release| release.trim().to_owned())
}
