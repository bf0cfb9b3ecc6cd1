//! Runs a manifest's pod on a node of such a network with a real container engine.
//!
//! podman runs the pod, with runc for its containers, as containerd does for a kubelet. This module
//! does what a kubelet does with a pod's specification, and changes nothing else.
//!
//! | module | what it does |
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
