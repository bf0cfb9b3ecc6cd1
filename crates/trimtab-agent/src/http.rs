//! Small HTTP servers: health probes, metrics, health-check node ports.

mod debug;
mod observability;
mod probes;
mod serve;
mod slis;
mod zpages;

pub use debug::SetVerbosity;
pub use observability::Observability;
pub use probes::health_routes;
pub use serve::{Ask, Reply, keep_listening, listen, serve};
pub use slis::Slis;
