//! `trimtab report`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use trimtab_config::{Config, written};

use super::ipvs_config::read_for_ipvs;
use super::{check, kernel_options, print, say_all};
use crate::report::{PARTS, Report, Text, daemon, kernel, log, system};
use crate::terminal::Progress;

/// Arguments of `trimtab report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # As root on the node, with the configuration of its Trimtab:
  trimtab report --config /etc/trimtab/config.yaml

  # In a pod, to a file on this computer; the pod's log is apart:
  kubectl -n kube-system exec POD -- trimtab report --config /etc/trimtab/config.yaml -o - > report.tar.gz

Nothing is changed. The archive has text files, at most 48 MiB before compression; its README.txt lists
them. Tokens, passwords, keys and the credentials of the kubeconfig are left out; addresses and names
are not: read it before you publish it. The exit status is 0 if the archive was written, whatever
could not be read, and 2 if the configuration cannot be used.")]
pub struct ReportArgs {
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The archive; - for standard output. Default: trimtab-report-NODE-TIME.tar.gz in this folder.
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The admin socket of the daemon, if it is not the configuration's.
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Trimtab's log, if it is in a file and not in the journal.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Writes the archive; prints its name.
pub(super) fn report(arguments: &ReportArgs) -> anyhow::Result<ExitCode> {
    let (config, notes) = match read_for_ipvs("report", arguments.config.as_deref(), None) {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    say_all("trimtab report", &notes);
    let now = jiff::Timestamp::now();
    let folder = format!("trimtab-report-{}-{}", config.node_name, now.strftime("%Y%m%dT%H%M%SZ"));
    let report = collect(&config, arguments);
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let path = arguments.output.clone().unwrap_or_else(|| format!("{folder}.tar.gz").into());
    if path == Path::new("-") {
        report.write(&folder, seconds, std::io::stdout().lock())?.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let context = || format!("cannot write {}", path.display());
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    report.write(&folder, seconds, file.with_context(context)?).with_context(context)?;
    print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads everything; what cannot be read is said in its file.
fn collect(config: &Config, arguments: &ReportArgs) -> Report {
    let (socket, log_file) = (arguments.socket.as_deref(), arguments.log.as_deref());
    let options = kernel_options(config);
    let mut report = Report::new();
    let mut progress = Progress::start();
    let mut counters = Err(anyhow::anyhow!("see ipvs.txt"));
    for (name, _) in PARTS {
        progress.step(&format!("collecting {name}"));
        let room = report.room();
        let found = match name {
            "version.txt" => Ok(system::version(room)),
            "configuration.yaml" => configuration(config, room),
            "check.txt" => Ok(text(&check::examine(config).0, room)),
            "ipvs.txt" => kernel::ipvs(room).map(|(state, counted)| {
                counters = Ok(counted);
                state
            }),
            "ipvs-counters.txt" => {
                std::mem::replace(&mut counters, Err(anyhow::anyhow!("taken already")))
            }
            "sets.txt" => kernel::sets(room),
            "rules.txt" => Ok(kernel::rules(room)),
            "sysctls.txt" => Ok(system::sysctls(&options, room)),
            "modules.txt" => system::modules(room),
            "addresses.txt" => kernel::addresses(room),
            "metrics.txt" => daemon::over_tcp(config.metrics_address, &["/metrics"], room),
            "health.txt" => {
                let paths = ["/healthz", "/livez", "/readyz"];
                daemon::over_tcp(config.health_address, &paths, room)
            }
            "admin.txt" => daemon::admin(socket.or(config.admin_socket.as_deref()), room),
            "log.txt" => match log_file {
                Some(path) => log::of_file(path, room),
                None => log::of_journal(room),
            },
            _ => Err(anyhow::anyhow!("nothing is known about it")),
        };
        report.add(name, found);
    }
    report
}

fn configuration(config: &Config, room: usize) -> anyhow::Result<Text> {
    Ok(text(&serde_saphyr::to_string(&written(config))?, room))
}

fn text(content: &str, room: usize) -> Text {
    let mut text = Text::new(room);
    text.push_str(content);
    text
}
