//! Measures a service proxy from outside, on a kernel with IPVS and against the fixture API server.
//!
//! The proxy is a process in a network namespace of its own. It is observed in the kernel, in
//! `/proc` and through its metrics, so that another proxy can be measured in the same way.
//!
//! | module | what it does |
//! |---|---|
//! | [`node`] | a namespace for one measurement, and waiting until the kernel has removed the previous one |
//! | [`candidate`] | a program to measure: its start, its configuration, its end |
//! | [`load`] | the cluster that the proxy sees, and its changes |
//! | [`witness`] | when the kernel holds something, polled at idle priority |
//! | [`verify`] | checks the kernel's final state with `ipvsadm`, `ipset` and `ip` |
//! | [`floor`] | the minimum time for the same netlink bytes |
//! | [`phase`] | the measurements, one after the other |
//! | [`repair`] | changes by other programs in the kernel, and the time until they are repaired |
//! | [`packets`] | the data path, with real packets between namespaces |
//! | [`objects`] | Services and EndpointSlices in JSON, for benchmarks without a kernel |
//! | [`process`], [`scrape`], [`quantile`] | CPU time and memory, metrics, percentiles |
//! | [`report`], [`table`], [`chart`], [`limits`] | results: JSON, table, drawing, limits of counts |

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
