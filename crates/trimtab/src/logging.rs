//! Logging: one line per event, on stderr.

use tracing_subscriber::EnvFilter;
use trimtab_config::LogFormat;

use crate::terminal::has_colours;

/// Starts logging at a verbosity like kube-proxy's: 0 and 1 for events, 2 to 4 for details, 5 and
/// more for everything. The environment variable `RUST_LOG` overrides it.
pub(crate) fn start(verbosity: u8, format: LogFormat) {
    let level = match verbosity {
        0..=1 => "info",
        2..=4 => "trimtab=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours(&std::io::stderr()));
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
