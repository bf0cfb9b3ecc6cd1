//! Measures a service proxy from outside, on a kernel with IPVS and against the fixture API server.
//!
//! The proxy is a process of its own in a network namespace of its own; what it does is seen in the
//! kernel, in `/proc` and in its metrics, so that another proxy can be measured the same way.
//!
//! | module | what it knows |
//! |---|---|
//! | [`node`] | a namespace for one measurement, and waiting until the kernel is done with the last |
//! | [`candidate`] | a program to measure: its start, its configuration, its end |
//! | [`load`] | the cluster that it is shown, and the changes of it |
//! | [`witness`] | when the kernel holds something, polled at idle priority |
//! | [`verify`] | what the kernel holds in the end, as `ipvsadm`, `ipset` and `ip` see it |
//! | [`floor`] | the least time that the same netlink bytes can take |
//! | [`phase`] | what is measured, one after the other |
//! | [`repair`] | what others do to the kernel, and when it is put right |
//! | [`packets`] | the data path, with real packets between namespaces |
//! | [`objects`] | Services and EndpointSlices in JSON, for what is measured without a kernel |
//! | [`process`], [`scrape`], [`quantile`] | CPU time and memory, metrics, percentiles |
//! | [`report`], [`table`], [`chart`], [`limits`] | what comes out |

pub mod candidate;
pub mod chart;
pub mod floor;
pub mod limits;
pub mod load;
pub mod node;
pub mod objects;
pub mod packets;
pub mod phase;
pub mod process;
pub mod quantile;
pub mod repair;
pub mod report;
pub mod scrape;
pub mod table;
pub mod verify;
pub mod witness;
