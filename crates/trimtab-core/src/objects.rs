//! What the API server knows, as far as it matters here: slim values, already validated.

mod endpoint_slice;
mod name;
mod node;
mod service;

pub use endpoint_slice::{Conditions, Endpoint, EndpointSlice, Hints, SlicePort};
pub use name::ObjectName;
pub use node::{LocalAddress, NodeObject};
pub use service::{Service, ServicePort, ServiceType, TrafficMetrics, TrafficPolicy, Tuning};
