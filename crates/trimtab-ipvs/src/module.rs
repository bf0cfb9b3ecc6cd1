//! Loading the kernel module.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::ModuleError;

const MODULE: &str = "ip_vs";

/// Where the kernel shows that it has the module, loaded or built in.
const LOADED: &str = "/sys/module/ip_vs";

/// Whether and how to load `ip_vs` if it is not loaded. The kernel loads scheduler modules on first
/// use. Newer kernels also load `ip_vs` itself, without parameters, when a program looks up its
/// generic-netlink family, whatever is set here.
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

/// Loads the module with its parameters, before the kernel loads it without them
/// (`MODULE_ALIAS_GENL_FAMILY`, include/net/genetlink.h).
///
/// # Errors
/// If a parameter is wrong. Other errors are ignored: the kernel may still be able to load it.
pub(crate) fn load_with_parameters(options: &ModuleOptions) -> Result<(), ModuleError> {
    if !options.load || options.parameters.is_empty() || Path::new(LOADED).exists() {
        return Ok(());
    }
    match load(options) {
        Err(error @ ModuleError::Failed { .. }) => Err(error),
        _ => Ok(()),
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
    let said = [output.stderr, output.stdout].concat();
    Err(failure(options, output.status, &String::from_utf8_lossy(&said)))
}

/// modprobe's exit status does not tell the reason, so its message, in the C locale, is parsed.
fn failure(options: &ModuleOptions, status: ExitStatus, said: &str) -> ModuleError {
    let text = said.trim().replace('\n', "; ");
    if text.contains("Operation not permitted") || text.contains("Permission denied") {
        ModuleError::NotPermitted { text }
    } else if is_not_found(&text) {
        ModuleError::NotFound { release: release(), text }
    } else {
        ModuleError::Failed {
            program: options.modprobe.clone(),
            arguments: arguments(options).collect::<Vec<_>>().join(" "),
            status,
            text,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn explained(said: &str) -> ModuleError {
        failure(&ModuleOptions::default(), ExitStatus::from_raw(1 << 8), said)
    }

    #[test]
    fn what_kmod_and_busybox_say_has_its_remedy() {
        for said in [
            "modprobe: FATAL: Module ip_vs not found in directory /lib/modules/6.1.0-56-amd64\n",
            "modprobe: module ip_vs not found in modules.dep\n",
            "modprobe: can't change directory to '/lib/modules': No such file or directory\n",
        ] {
            let error = explained(said);
            assert!(matches!(error, ModuleError::NotFound { .. }), "{error:?}");
            assert!(error.to_string().contains("mount the machine's /lib/modules"), "{error}");
        }
        for said in [
            "modprobe: ERROR: could not insert 'ip_vs': Operation not permitted\n",
            "modprobe: can't load module ip_vs (kernel/ip_vs.ko): Operation not permitted\n",
        ] {
            let error = explained(said);
            assert!(matches!(error, ModuleError::NotPermitted { .. }), "{error:?}");
        }
    }

    #[test]
    fn any_other_failure_shows_how_modprobe_was_run_and_what_it_said() {
        let options = ModuleOptions::default().connection_table_bits(40);
        let error = failure(&options, ExitStatus::from_raw(1 << 8), "could not insert\nsorry\n");
        let text = error.to_string();
        assert!(text.starts_with("modprobe ip_vs conn_tab_bits=40 failed"), "{text}");
        assert!(text.ends_with("could not insert; sorry"), "{text}");
    }

    #[test]
    fn a_daemons_short_path_is_no_hindrance_and_a_given_one_is_the_only_one() {
        let places = ["modprobe", "/usr/sbin/modprobe", "/sbin/modprobe"].map(PathBuf::from);
        assert_eq!(candidates(Path::new("modprobe")), places);
        assert_eq!(candidates(Path::new("/opt/modprobe")), [PathBuf::from("/opt/modprobe")]);
    }
}
