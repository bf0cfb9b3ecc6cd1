//! The command line.

mod check;
mod cleanup;
mod completions;
mod diff;
mod explain;
mod ipvs_config;
mod kube_proxy;
mod man;
mod once;
mod parts;
mod plan;
mod report;
mod run;
mod status;
mod top;
mod trace;
mod validate;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use check::CheckArgs;
pub use cleanup::CleanupArgs;
pub use completions::CompletionsArgs;
pub use diff::DiffArgs;
pub use explain::ExplainArgs;
pub use kube_proxy::KubeProxyFlags;
pub use man::ManArgs;
pub use plan::PlanArgs;
pub use report::ReportArgs;
pub use run::RunArgs;
pub use status::StatusArgs;
pub use top::TopArgs;
pub use trace::TraceArgs;
pub use validate::ValidateArgs;

use trimtab_config::{self as config, Config, ConfigFile, Notes, Overrides};
use trimtab_core::Printable;

/// Input that does not parse, or that is not allowed.
const INVALID: u8 = 2;

/// A Kubernetes service proxy that programs the Linux IPVS load balancer.
#[derive(Debug, Parser)]
#[command(
    name = "trimtab",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Examples:
  # Can this node be served? Changes nothing:
  trimtab check

  # Serve it, with kube-proxy's configuration:
  trimtab run --config /var/lib/kube-proxy/config.conf

  # Does the kernel hold what it should? Changes nothing:
  trimtab diff --config /var/lib/kube-proxy/config.conf

`trimtab COMMAND --help` has examples of each command. Colours are for terminals only, and never if
NO_COLOR is set."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Program this node's kernel with the cluster's Services and keep it up to date.
    Run(Box<RunArgs>),
    /// Show what is programmed on this node, per Service, with connections.
    Status(StatusArgs),
    /// Show which Services have traffic now: new connections, bytes, open connections.
    Top(TopArgs),
    /// Explain why a Service is programmed as it is, and each endpoint in or out.
    Explain(ExplainArgs),
    /// Look whether Trimtab can serve on this node, and say what is in the way. Changes nothing.
    Check(CheckArgs),
    /// Show how the kernel differs from what the objects ask for. Changes nothing.
    Diff(DiffArgs),
    /// Remove everything that Trimtab, or kube-proxy, left on this node, and nothing else.
    Cleanup(CleanupArgs),
    /// Show what the kernel should hold for some manifests, without touching it.
    Plan(PlanArgs),
    /// Show what a packet meets on this node, and who gets it: rules, sets, virtual server, real
    /// servers.
    Trace(Box<TraceArgs>),
    /// Collect what a bug report needs into one archive, without secrets. Changes nothing.
    Report(ReportArgs),
    /// Check configuration files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes commands and flags in a shell.
    Completions(CompletionsArgs),
    /// Write man pages, one for each command.
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report every error in a configuration file, and which of its fields have no effect.
    Validate(ValidateArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Any error that ends a command early.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Status(arguments) => status::run(&arguments),
            Command::Top(arguments) => top::run(&arguments),
            Command::Explain(arguments) => explain::explain(&arguments),
            Command::Check(arguments) => check::check(&arguments),
            Command::Diff(arguments) => diff::diff(&arguments),
            Command::Cleanup(arguments) => cleanup::cleanup(&arguments),
            Command::Plan(arguments) => plan::plan(&arguments),
            Command::Trace(arguments) => trace::trace(&arguments),
            Command::Report(arguments) => report::report(&arguments),
            Command::Config(ConfigCommand::Validate(arguments)) => {
                Ok(validate::validate(&arguments))
            }
            Command::Completions(arguments) => completions::completions(&arguments),
            Command::Man(arguments) => man::man(&arguments),
        }
    }
}

/// The program's exit status; says on standard error what a failure is.
pub fn status(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        say("trimtab", &in_words(&error));
        ExitCode::FAILURE
    })
}

/// An error with its causes. Those whose text an error has in its own are not said twice.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.ends_with(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Reads the configuration file, if there is one; `-` is standard input.
fn read_config(path: Option<&Path>) -> Result<(ConfigFile, Notes), config::Error> {
    let Some(path) = path else { return Ok((ConfigFile::default(), Notes::new())) };
    let error = |source| config::Error::Read { path: path.to_owned(), source };
    if path == Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin()).map_err(error)?;
        return config::parse("standard input".as_ref(), &text);
    }
    let text = std::fs::read_to_string(path).map_err(error)?;
    config::parse(path, &text)
}

/// Merges file, flags and the host's name.
fn resolve(
    file: &ConfigFile,
    mut overrides: Overrides,
    mut notes: Notes,
) -> Result<(Config, Notes), config::Error> {
    overrides.host = host_name();
    let (config, more) = config::resolve(file, &overrides)?;
    notes.extend(more);
    Ok((config, notes))
}

/// Says why a command's input cannot be used; returns the exit status for that.
fn invalid(command: &str, why: &dyn std::fmt::Display) -> ExitCode {
    say(&format!("trimtab {command}"), &why.to_string());
    ExitCode::from(INVALID)
}

/// Says something on standard error. Its own line breaks stay: several complaints are a line each.
fn say(who: &str, text: &str) {
    let lines: Vec<String> = text.lines().map(|line| Printable(line).to_string()).collect();
    eprintln!("{who}: {}", lines.join("\n"));
}

fn say_all(who: &str, notes: &[String]) {
    for note in notes {
        say(who, note);
    }
}

/// Prints a command's result.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Somebody looked at the beginning only: `trimtab plan | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// This host's name, as the system has it.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The part of the configuration that concerns the kernel.
fn kernel_options(config: &Config) -> trimtab_linux::Options {
    trimtab_linux::Options {
        vip_binding: config.vip_binding,
        rules: config.rules.clone(),
        iptables_backend: config.iptables_backend,
        sysctl_path: config.sysctl_path.clone(),
        strict_arp: config.strict_arp,
        conntrack: config.conntrack.clone(),
        estimation: config.estimation.clone(),
        timeouts: config.timeouts,
        scheduler: config.scheduler,
        connection_table_bits: config.connection_table_bits,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Every command that has no further ones below it, and the program itself.
    fn commands(command: &clap::Command, found: &mut Vec<(String, String)>) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let below: Vec<_> =
            command.get_subcommands().filter(|one| one.get_name() != "help").collect();
        if below.is_empty() || command.get_name() == "trimtab" {
            found.push((command.get_name().to_owned(), examples));
        }
        for one in below {
            commands(one, found);
        }
    }

    #[test]
    fn every_help_has_examples_that_the_program_takes() {
        let mut found = Vec::new();
        commands(&Cli::command(), &mut found);
        assert!(found.len() > 8, "{found:?}");
        for (name, help) in found {
            let help = help.replace("\\\n", " ");
            let lines = help.lines().filter_map(|line| line.trim().strip_prefix("trimtab "));
            let mut count = 0;
            for line in lines.filter(|line| !line.starts_with("COMMAND")) {
                let words = shlex::split(line).unwrap();
                let words: Vec<_> = words.iter().take_while(|word| *word != ">").collect();
                let call = std::iter::once("trimtab").chain(words.iter().map(|word| word.as_str()));
                assert!(Cli::try_parse_from(call).is_ok(), "{name}: {line}");
                count += 1;
            }
            assert!(count > 0, "{name} has no example");
        }
    }
}
