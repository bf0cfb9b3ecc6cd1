//! Runs a command as root on a kernel with IPVS, wherever there is one.
//!
//! | module | what it does |
//! |---|---|
//! | [`prefix`], [`host`], [`qemu`] | the three kinds of guest, in the order they are chosen |
//! | [`job`] | the command with its surroundings, and the shell script that restores them |
//! | [`output`], [`verdict`] | where the command's output goes, how the guest ended |
//! | [`packages`], [`kernel`], [`busybox`] | requirements on this machine |
//! | [`fetch`], [`cache`] | packages that are unpacked instead of installed, and where to |
//! | [`child`] | a process with a time limit |

mod busybox;
mod cache;
mod child;
pub(crate) mod fetch;
mod host;
mod job;
mod kernel;
mod output;
pub(crate) mod packages;
mod prefix;
mod qemu;
mod verdict;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub(crate) use self::job::Job;
pub(crate) use self::output::Output;
pub(crate) use self::verdict::{NO_VERDICT, Verdict};

/// `cargo xtask guest`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// The default time limit of a guest in seconds.
const TIMEOUT: u64 = 1800;

/// The memory of a virtual machine of ours.
const MEMORY: &str = "4G";

/// Which guest, and how large.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where to run; auto takes the first that is available: prefix, host, qemu
    #[arg(long, visible_alias = "guest", value_enum, default_value_t = Kind::Auto)]
    kernel: Kind,
    /// Memory of a virtual machine; 4G if it is ours
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    mem: Option<String>,
    /// Processors of a virtual machine; 1 if it is ours and emulated, else 2
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    cpus: Option<u8>,
    /// How long a guest may last, its start included; 1800 unless a task says otherwise
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// A directory that the guest may write to; everything else that it writes is discarded
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The first of the others that is available
    Auto,
    /// The command prefix in the environment variable TRIMTAB_GUEST
    Prefix,
    /// This host's own kernel, in namespaces
    Host,
    /// A virtual machine with the distribution's kernel
    Qemu,
}

impl Options {
    /// The directory that the guest may write to; `default` if none was chosen.
    pub(crate) fn out_or(&mut self, default: &str) -> PathBuf {
        self.out.get_or_insert_with(|| default.into()).clone()
    }

    /// As given on the command line, or else `seconds`.
    pub(crate) fn with_timeout_or(&self, seconds: u64) -> Self {
        Self { timeout: self.timeout.or(Some(seconds)), ..self.clone() }
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(TIMEOUT))
    }

    fn memory(&self) -> &str {
        self.mem.as_deref().unwrap_or(MEMORY)
    }
}

/// Runs the command given on the command line; its status is this program's.
pub(crate) fn main(arguments: &Arguments) -> Result<u8> {
    let job = Job::here(arguments.command.clone())?;
    Ok(run(&arguments.options, &job, Output::Inherit)?.report())
}

/// Runs `job` in the guest that `options` choose.
///
/// Fails if there is no guest; a guest that breaks is a [`Verdict`].
pub(crate) fn run(options: &Options, job: &Job, output: Output<'_>) -> Result<Verdict> {
    Runner::find(options)?.run(options, job, output)
}

/// A way to run guests, with everything that it needs on this machine.
pub(crate) struct Runner(Way);

enum Way {
    Prefix(Vec<OsString>),
    Host,
    Qemu(qemu::Parts),
}

impl Runner {
    /// The one that `options` choose; installs what it lacks.
    pub(crate) fn find(options: &Options) -> Result<Self> {
        let way = match (options.kernel, prefix::from_environment()?) {
            (Kind::Auto | Kind::Prefix, Some(prefix)) => {
                // Its guest may see this machine's files or not.
                if let Err(error) = packages::ensure(packages::GUEST) {
                    eprintln!("guest: {error:#}");
                }
                Way::Prefix(prefix)
            }
            (Kind::Prefix, None) => bail!("{} is not set, so there is no prefix", prefix::VARIABLE),
            (kind, _) => {
                packages::ensure(packages::GUEST)?;
                match kind {
                    Kind::Host => Way::Host,
                    Kind::Auto if host::has_ipvs().is_ok() => Way::Host,
                    _ => Way::Qemu(qemu::Parts::find()?),
                }
            }
        };
        Ok(Self(way))
    }

    /// Runs `job` in a guest of its own. Several threads may do so at once, unless
    /// [`Runner::is_this_host`].
    pub(crate) fn run(&self, options: &Options, job: &Job, output: Output<'_>) -> Result<Verdict> {
        let mut options = options.clone();
        if let Some(out) = &mut options.out {
            std::fs::create_dir_all(&*out)
                .and_then(|()| out.canonicalize())
                .map(|path| *out = path)
                .with_context(|| format!("cannot make {}", out.display()))?;
        }
        match &self.0 {
            Way::Prefix(prefix) => prefix::run(prefix.clone(), &options, job, output),
            Way::Host => host::run(&options, job, output),
            Way::Qemu(parts) => qemu::run(parts, &options, job, output),
        }
    }

    /// Whether commands run on this host's own kernel, which is the same for all of them.
    pub(crate) fn is_this_host(&self) -> bool {
        matches!(self.0, Way::Host)
    }
}

/// Accepts what QEMU does: digits and a unit.
fn memory_size(text: &str) -> Result<String, String> {
    let (digits, unit) = text.split_at(text.len() - usize::from(text.ends_with(['M', 'G'])));
    if !unit.is_empty() && digits.parse::<u32>().is_ok_and(|n| n > 0) {
        Ok(text.to_owned())
    } else {
        Err("write it as 512M or 4G".to_owned())
    }
}
