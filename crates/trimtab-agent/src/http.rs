//! Small HTTP servers: health probes, metrics, health-check node ports.

mod probes;
mod serve;

pub use probes::{health_routes, metrics_routes};
pub use serve::{Reply, keep_listening, listen, serve};
