//! What the kernel must be told once.
//!
//! [`wanted`] says which sysctls must have which values on this kernel; [`apply`] writes those that
//! have another. A /proc/sys that cannot be written is fine as long as the values are right, so a
//! privileged first run can prepare a node for an unprivileged one.

mod apply;
mod conntrack;
mod estimation;
mod wanted;

pub use apply::{Applied, apply, raise_conntrack_buckets};
pub use conntrack::ConntrackOptions;
pub use estimation::EstimationOptions;
pub use wanted::{Options, Sysctl, wanted};
