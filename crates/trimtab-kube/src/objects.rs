//! Kubernetes objects, decoded straight into the slim values that decisions are made of.
//!
//! The API's shapes are mirrored field by field, only the fields used, and every field optional:
//! one object with a strange value must not spoil the page of objects it came with. What cannot be
//! used is named in [`Decoded::problems`] and left out.

mod annotations;
mod decoded;
mod endpoint_slice;
mod known;
mod metadata;
mod node;
mod node_weight;
mod service;

pub use decoded::{Decoded, FieldProblem, Severity};
pub use endpoint_slice::EndpointSliceObject;
pub use known::{Known, annotations, labels};
pub use node::{NodeObject, NodeState};
pub use node_weight::NodeWeightObject;
pub use service::ServiceObject;
