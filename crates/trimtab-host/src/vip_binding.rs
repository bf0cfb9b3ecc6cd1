//! The two ways to bind a VIP to the node.

/// How VIPs are bound to the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VipBinding {
    /// By an address on the dummy interface, as kube-proxy does.
    #[default]
    Address,
    /// By a route of type `local`.
    Route,
}
