//! What a cluster consists of.

/// The layout of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its nodes; the first is node 1.
    pub nodes: Vec<NodeLayout>,
    /// How many hosts there are outside the cluster: 50 at most.
    pub clients: u8,
}

/// The layout of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLayout {
    /// How many pods it has: 200 at most.
    pub pods: u8,
    /// How they are attached.
    pub pod_network: PodNetwork,
    /// Whether it forwards packets between its pods and others. Without this a node is like a
    /// freshly installed machine.
    pub is_router: bool,
}

/// How a node's pods are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodNetwork {
    /// Each pod by a veth that the node routes to: `veth1`, `veth2` and so on. All packets of a pod
    /// pass the node's routing.
    Routed,
    /// By veths on a bridge `cni0`, with br_netfilter and hairpin mode, as most clusters have it.
    Bridged,
}

/// Two nodes with two pods each, and a client.
impl Default for Layout {
    fn default() -> Self {
        Self { nodes: vec![NodeLayout::default(); 2], clients: 1 }
    }
}

/// A router with two routed pods.
impl Default for NodeLayout {
    fn default() -> Self {
        Self { pods: 2, pod_network: PodNetwork::Routed, is_router: true }
    }
}
