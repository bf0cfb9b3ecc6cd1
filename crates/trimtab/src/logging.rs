//! Logging: one line per event, on stderr.

use tracing::info;
use tracing_subscriber::EnvFilter;
use trimtab_agent::http::SetVerbosity;
use trimtab_config::LogFormat;

use crate::terminal::has_colours;

/// What a verbosity like kube-proxy's means: 0 and 1 for events, 2 to 4 for details, 5 and more for
/// everything.
const fn level(verbosity: u8) -> &'static str {
    match verbosity {
        0..=1 => "info",
        2..=4 => "trimtab=debug,info",
        _ => "trace",
    }
}

/// Starts logging at a verbosity. The environment variable `RUST_LOG` overrides it. Returns what sets
/// another verbosity later.
pub(crate) fn start(verbosity: u8, format: LogFormat) -> SetVerbosity {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(verbosity)));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours(&std::io::stderr()));
    match format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            setter(move |filter| handle.reload(filter))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            setter(move |filter| handle.reload(filter))
        }
    }
}

fn setter<E: std::fmt::Display>(
    reload: impl Fn(EnvFilter) -> Result<(), E> + Send + Sync + 'static,
) -> SetVerbosity {
    SetVerbosity::new(move |verbosity| {
        reload(EnvFilter::new(level(verbosity))).map_err(|error| error.to_string())?;
        info!(verbosity, "the verbosity of the log was changed");
        Ok(())
    })
}
