//! Small HTTP servers: health probes and metrics.

mod probes;
mod serve;

pub use probes::{health_routes, metrics_routes};
pub use serve::{Reply, keep_listening};
