//! `trimtab status`.

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use trimtab_admin::{Client, Error, SOCKET};

use super::{invalid, print};
use crate::status::target::Target;
use crate::status::{Status, View, Width, connections, kernel};
use crate::terminal::has_colours;

/// Time between two looks with `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// Clears a terminal and goes to its upper left (ECMA-48, ED and CUP).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Arguments of `trimtab status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Everything on this node, as root:
  trimtab status

  # In Trimtab's pod on a node:
  kubectl -n kube-system exec ds/trimtab -- trimtab status

  # The Services of a namespace, one of them, and who has a VIP:
  trimtab status -n shop
  trimtab status -n shop web
  trimtab status 10.96.0.10:53

  # All that is known, for a program:
  trimtab status -o json

The daemon tells what is programmed, the kernel how many connections there are. Where no daemon runs, the virtual servers of the kernel are shown. The exit status is 0, 1 if there is no such Service or the daemon cannot be asked, and 2 if the arguments cannot be used.")]
pub struct StatusArgs {
    /// A Service, as NAME or NAMESPACE/NAME, or an address of a Service, with or without a port.
    #[arg(value_name = "SERVICE|VIP[:PORT]")]
    target: Option<String>,
    /// Only Services of this namespace. Default: all, and for a Service `default`.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Look again every two seconds.
    #[arg(short, long)]
    watch: bool,
    /// The admin socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Table,
    /// A table with all columns.
    Wide,
    /// JSON, as on the admin socket.
    Json,
    /// The same in YAML.
    Yaml,
}

/// Prints what is programmed.
pub(super) fn run(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let target = Target::new(arguments.namespace.as_deref(), arguments.target.as_deref());
    let target = match target {
        Ok(target) => target,
        Err(error) => return Ok(invalid("status", &error)),
    };
    loop {
        let status = look(arguments, &target)?;
        let text = rendered(&status, arguments.output)?;
        let again = arguments.watch;
        let clear = if again && stdout().is_terminal() { CLEAR } else { "" };
        print(&format!("{clear}{text}"))?;
        if !again {
            return Ok(if is_nothing(&status, &target) {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            });
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Asks the daemon and the kernel; only the kernel where there is no daemon.
fn look(arguments: &StatusArgs, target: &Target) -> anyhow::Result<Status> {
    let mut client = match Client::connect(&arguments.socket) {
        Ok(client) => client,
        Err(error) if error.is_no_daemon() => return without_daemon(&error, target),
        Err(error) => return Err(error.into()),
    };
    let mut services = Vec::new();
    let summary = Box::new(client.summary()?);
    client.services(&target.selection(), |mut service| {
        target.keep(&mut service.frontends);
        services.push(service);
    })?;
    let uncounted = connections::count(&mut services).err();
    Ok(Status::Daemon { summary, services, uncounted })
}

fn without_daemon(error: &Error, target: &Target) -> anyhow::Result<Status> {
    if !matches!(target, Target::All(None) | Target::Address(..)) {
        anyhow::bail!(
            "{error}; without a daemon it is not known which virtual servers a Service has"
        );
    }
    let virtual_servers = kernel::read(target)?;
    Ok(Status::Kernel { no_daemon: error.to_string(), virtual_servers })
}

fn rendered(status: &Status, output: Output) -> anyhow::Result<String> {
    let colours = has_colours(&stdout());
    let view = |width| View { width, colours, now: Timestamp::now() };
    Ok(match output {
        Output::Table => status.table(view(Width::Usual)),
        Output::Wide => status.table(view(Width::Wide)),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(status)?),
        Output::Yaml => serde_saphyr::to_string(status)?,
    })
}

/// Whether something was asked for that does not exist.
fn is_nothing(status: &Status, target: &Target) -> bool {
    let is_named = !matches!(target, Target::All(_));
    is_named
        && match status {
            Status::Daemon { services, .. } => services.is_empty(),
            Status::Kernel { virtual_servers, .. } => virtual_servers.is_empty(),
        }
}
