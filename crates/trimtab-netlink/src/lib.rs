//! A blocking netlink transport made for throughput.
//!
//! Programming the kernel object by object costs two system calls and an answer for each. This
//! crate sends many messages in one `sendmsg`, requests an acknowledgement only for the last one,
//! and matches errors to messages by sequence number. The generic-netlink, route and netfilter
//! families all work this way, so [`trimtab-ipvs`] and the other users of this crate bring only
//! their own attributes.
//!
//! * [`Batch`] encodes messages into one buffer, without an allocation for each.
//! * [`Socket::apply`] sends them and reports what failed.
//! * [`Socket::dump`] reads a table, again if the kernel says that it changed meanwhile.
//!
//! Answers from the kernel are complete when `sendmsg` returns (netlink_unicast_kernel,
//! net/netlink/af_netlink.c), so nothing here waits for the kernel: a missing answer is an error,
//! not a hang.
//!
//! [`trimtab-ipvs`]: https://docs.rs/trimtab-ipvs

mod answer;
mod batch;
mod errno;
mod error;
mod inbox;
mod report;
mod socket;

pub use batch::{Batch, Builder};
pub use errno::Errno;
pub use error::{Error, Refusal};
pub use report::{Failure, Report};
pub use socket::{Family, Socket};

/// `NLM_F_REQUEST` and so on (include/uapi/linux/netlink.h): the flags of a request.
pub mod flags {
    pub use netlink_packet_core::{
        NLM_F_ACK as ACK, NLM_F_APPEND as APPEND, NLM_F_CREATE as CREATE, NLM_F_DUMP as DUMP,
        NLM_F_EXCL as EXCL, NLM_F_REPLACE as REPLACE, NLM_F_REQUEST as REQUEST,
    };
}

/// The README's example is compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
