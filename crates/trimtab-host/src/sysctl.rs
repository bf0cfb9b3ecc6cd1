//! Sysctls that Trimtab sets.
//!
//! [`wanted`] returns the sysctls and their values for this kernel; [`apply`] writes those that
//! differ. A /proc/sys that cannot be written is fine as long as the values are right, so a
//! privileged first run can prepare a node for an unprivileged one.

mod apply;
mod conntrack;
mod estimation;
mod wanted;

pub use apply::{Applied, apply, raise_conntrack_buckets};
pub use conntrack::ConntrackOptions;
pub use estimation::EstimationOptions;
pub use wanted::{Options, Sysctl, wanted};
