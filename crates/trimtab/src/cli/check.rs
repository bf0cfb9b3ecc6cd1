//! `trimtab check`.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trimtab_config::Config;
use trimtab_core::Printable;
use trimtab_linux::Preflight;

use super::ipvs_config::read_for_ipvs;
use super::{kernel_options, print, say_all};
use crate::check::{Finding, Level, findings};

/// Arguments of `trimtab check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Before the first start on a node, as root:
  trimtab check

  # With the configuration that the node will have:
  trimtab check --config /etc/trimtab/config.yaml

Nothing is changed, and no module is loaded. The exit status is 0 if Trimtab can serve on this node,
warnings or not, 1 if there is a problem, and 2 if the configuration cannot be used.")]
pub struct CheckArgs {
    /// A KubeProxyConfiguration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the findings; exit status 1 if there is a problem.
pub(super) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (config, notes) = match read_for_ipvs("check", arguments.config.as_deref(), None) {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    say_all("trimtab check", &notes);
    let (report, problems) = examine(&config);
    print(&report)?;
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at the node; the findings as text, and how many of them are problems.
pub(super) fn examine(config: &Config) -> (String, usize) {
    let node = Preflight::read(&kernel_options(config));
    let found = findings(&node, &taken(config));
    let mut report = String::new();
    for Finding { level, subject, text, remedy } in &found {
        let _ = writeln!(report, "{level:<8} {subject:<15} {}", Printable(text));
        if !remedy.is_empty() {
            let _ = writeln!(report, "{:<8} {:<15} remedy: {}", "", "", Printable(remedy));
        }
    }
    let count = |level: Level| found.iter().filter(|one| one.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let _ = writeln!(report, "{problems} problems, {warnings} warnings");
    (report, problems)
}

/// The addresses for probes and metrics on which another program listens.
fn taken(config: &Config) -> Vec<SocketAddr> {
    let own = [config.health_address, config.metrics_address].into_iter().flatten();
    own.filter(|address| {
        TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    })
    .collect()
}
