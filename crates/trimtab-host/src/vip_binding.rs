//! The two ways to make a VIP this node's own.

/// How the kernel is told that a VIP is this node's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VipBinding {
    /// By an address on the dummy interface, as kube-proxy does.
    #[default]
    Address,
    /// By a route of type `local`.
    Route,
}
