//! Kubernetes objects, decoded directly into the slim values that the reconciler uses.
//!
//! From JSON or protobuf: both are decoded into the same `Wire` values, which borrow their texts from
//! the input, and these are validated in one place.
//!
//! The API's shapes are mirrored field by field, only the fields used, and every field optional:
//! one object with an invalid value must not make the whole page of a list fail. Invalid values are
//! reported in [`Decoded::problems`] and left out.

mod annotations;
mod decoded;
mod endpoint_slice;
mod known;
mod metadata;
mod node;
mod node_weight;
mod service;
mod text;

pub use decoded::{Decoded, FieldProblem, Severity};
pub use endpoint_slice::EndpointSliceObject;
pub use known::{Known, annotations, labels};
pub use node::{NodeObject, NodeState};
pub use node_weight::NodeWeightObject;
pub use service::ServiceObject;
