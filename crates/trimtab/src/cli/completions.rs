//! `trimtab completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};

use super::{Cli, print};

/// Arguments of `trimtab completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # For all users of a node, in bash:
  trimtab completions bash > /etc/bash_completion.d/trimtab

  # In zsh, in a folder that is in fpath:
  trimtab completions zsh > /usr/local/share/zsh/site-functions/_trimtab

  # In fish, for the current user:
  trimtab completions fish > ~/.config/fish/completions/trimtab.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub(super) fn completions(arguments: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trimtab", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
