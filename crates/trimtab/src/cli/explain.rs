//! `trimtab explain`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use trimtab_admin::{Client, Error, Explanation, SOCKET};
use trimtab_agent::admin::explanation;
use trimtab_core::objects::{LocalAddress, ObjectName};

use super::plan::{Sources, local_address, read_sources};
use super::{invalid, print, say};
use crate::explain::text;
use crate::status::target::Target;

/// Who says something on standard error.
const WHO: &str = "trimtab explain";
/// The status of an answer about a Service that does not exist.
const NOT_FOUND: u16 = 404;

/// Arguments of `trimtab explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Why does nobody, or only some, answer? On a node, as root:
  trimtab explain -n shop web

  # In Trimtab's pod on a node:
  kubectl -n kube-system exec ds/trimtab -- trimtab explain shop/web

  # Anywhere, as it would be on a node of that name:
  kubectl get services,endpointslices,nodes -A -o yaml |
    trimtab explain -f - --hostname-override node-a --local-address eth0=10.0.0.10 shop/web

Nothing is changed. The exit status is 1 if there is no such Service or no daemon, and 2 if the input
cannot be used.")]
pub struct ExplainArgs {
    /// The Service, as NAME or NAMESPACE/NAME.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The namespace of the Service. Default: `default`.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Manifests instead of the daemon: files, folders, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// A KubeProxyConfiguration, with manifests.
    #[arg(long, value_name = "FILE", requires = "files")]
    config: Option<PathBuf>,
    /// The node's name, with manifests. Default: this host's name.
    #[arg(long, value_name = "NAME", requires = "files")]
    hostname_override: Option<String>,
    /// An address of the node, such as eth0=10.0.0.1, with manifests. Default: this host's own
    /// addresses.
    #[arg(long, value_name = "DEV=ADDRESS", value_parser = local_address, requires = "files")]
    local_address: Vec<LocalAddress>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// The admin socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Sentences.
    Text,
    /// JSON, as on the admin socket.
    Json,
    /// The same in YAML.
    Yaml,
}

/// Prints why a Service is programmed as it is.
pub(super) fn explain(arguments: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let target = Target::new(arguments.namespace.as_deref(), Some(&arguments.service));
    let (namespace, name) = match target {
        Ok(Target::Service(namespace, name)) => (namespace, name),
        Ok(_) => return Ok(invalid("explain", &"expected the name of a Service")),
        Err(error) => return Ok(invalid("explain", &error)),
    };
    let found = if arguments.files.is_empty() {
        match Client::connect(&arguments.socket)?.explanation(&namespace, &name) {
            Ok(found) => Some(found),
            Err(Error::Refused { status, .. }) if status.as_u16() == NOT_FOUND => None,
            Err(error) => return Err(error.into()),
        }
    } else {
        match offline(arguments, &ObjectName::new(&namespace, &name))? {
            Ok(found) => found,
            Err(status) => return Ok(status),
        }
    };
    let Some(found) = found else {
        say(
            WHO,
            &format!(
                "no Service {namespace}/{name} is proxied here: it does not exist, or it is headless, of type \
             ExternalName or has the label service.kubernetes.io/service-proxy-name"
            ),
        );
        return Ok(ExitCode::FAILURE);
    };
    print(&match arguments.output {
        Output::Text => text(&found),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&found)?),
        Output::Yaml => serde_saphyr::to_string(&found)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// From manifests; the exit status if they cannot be used.
fn offline(
    arguments: &ExplainArgs,
    name: &ObjectName,
) -> anyhow::Result<Result<Option<Explanation>, ExitCode>> {
    let sources = Sources {
        command: "explain",
        files: &arguments.files,
        config: arguments.config.as_deref(),
        hostname: arguments.hostname_override.as_deref(),
        local: &arguments.local_address,
    };
    let read = read_sources(&sources)?;
    Ok(read.map(|read| read.planned.reconciler.explain(name, 0, usize::MAX).map(explanation)))
}
