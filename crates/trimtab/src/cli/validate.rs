//! `trimtab config validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{INVALID, read_config, resolve, say, say_all};
use trimtab_config::{Complaints, Error, Notes, Overrides};

/// Arguments of `trimtab config validate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # The file that the chart mounts:
  trimtab config validate /etc/trimtab/config.yaml

  # The configuration of a cluster's kube-proxy, as kubeadm keeps it:
  kubectl -n kube-system get configmap kube-proxy -o jsonpath='{.data.config\\.conf}' |
    trimtab config validate -

Every error is a line `error: FILE:LINE: KEY: what is wrong`. Unknown keys, keys without effect and the
like are lines with `warning:`. The exit status is 0 if the file can be used, warnings or not, and 2 if
it cannot.")]
pub struct ValidateArgs {
    /// A KubeProxyConfiguration; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints warnings and errors; exit status 2 if there is an error.
pub(super) fn validate(arguments: &ValidateArgs) -> ExitCode {
    let (file, notes) = match read_config(Some(&arguments.file)) {
        Ok(read) => read,
        Err(error) => return refuse(&error),
    };
    say_all("warning", &notes);
    match resolve(&file, Overrides::default(), Notes::new()) {
        Ok((_, more)) => {
            say_all("warning", &more);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &Error) -> ExitCode {
    match error {
        Error::Values(Complaints(complaints)) => {
            for complaint in complaints {
                say("error", &complaint.to_string());
            }
        }
        other => say("error", &other.to_string()),
    }
    ExitCode::from(INVALID)
}
