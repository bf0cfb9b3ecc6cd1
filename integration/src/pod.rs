//! A pod of a manifest, run on a node of a laid network by a real container engine.
//!
//! podman takes the pod and has runc make the containers, as containerd does for a kubelet. What a
//! kubelet itself does with a pod's specification is done here, and nothing else is changed.
//!
//! | module | what it knows |
//! |---|---|
//! | [`kubelet`] | a pod of a DaemonSet as a kubelet hands it to its container runtime |
//! | [`engine`] | podman with images and a state of its own |
//! | [`probe`] | the probes of a container, by a kubelet's rules |

pub mod engine;
pub mod kubelet;
pub mod probe;

pub use engine::{Engine, RunningPod};
pub use kubelet::{Node, PodManifest};
pub use probe::Probe;
