//! `trimtab config validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{invalid, read_config, resolve};
use trimtab_config::{Notes, Overrides};

const COMMAND: &str = "config validate";

/// Arguments of `trimtab config validate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # The file that the chart mounts:
  trimtab config validate /etc/trimtab/config.yaml

  # The configuration of a cluster's kube-proxy, as kubeadm keeps it:
  kubectl -n kube-system get configmap kube-proxy -o jsonpath='{.data.config\\.conf}' |
    trimtab config validate -

The exit status is 0 if the file can be used, notes or not, and 2 if it cannot.")]
pub struct ValidateArgs {
    /// A KubeProxyConfiguration; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints notes and complaints; exit status 2 if there is a complaint.
pub(super) fn validate(arguments: &ValidateArgs) -> ExitCode {
    let (file, notes) = match read_config(Some(&arguments.file)) {
        Ok(read) => read,
        Err(error) => return invalid(COMMAND, &error),
    };
    notes.iter().for_each(note);
    match resolve(&file, Overrides::default(), Notes::new()) {
        Ok((_, more)) => {
            more.iter().for_each(note);
            ExitCode::SUCCESS
        }
        Err(error) => invalid(COMMAND, &error),
    }
}

fn note(note: &String) {
    eprintln!("note: {note}");
}
