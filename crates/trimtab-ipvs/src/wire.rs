//! The codec of the kernel's generic-netlink family `IPVS`: between bytes and values, without I/O.
//!
//! [`Client`](crate::Client) uses it; it is public for programs that read captured messages or have
//! their own transport. A *payload* is what follows the netlink header: the generic-netlink header
//! and the attributes. Only this module knows the kernel's wire format.
//!
//! Rules of the wire format (net/netfilter/ipvs/ip_vs_ctl.c):
//!
//! * Ports are in network order, every other number in host order.
//! * An address is a union of 16 bytes, whatever the family; IPv4 uses the first four.
//! * Flags come as a pair, value and mask; only the bits in the mask change.
//! * The netmask of IPv4 is a mask in network order, that of IPv6 a prefix length in host order;
//!   it must be there and full even without persistence.
//! * A real server's address family may be missing (kernels before 3.18): then it is that of its
//!   virtual server.
//!
//! Values that the wire format cannot express (mark 0, a prefix longer than the family's) are left
//! out of the message, so that the kernel refuses it (`EINVAL`) instead of doing something else.

mod address;
mod config;
mod constants;
pub(crate) mod control;
mod frontend;
mod message;
mod real_server;
mod request;
pub(crate) mod socket_option;
mod stats;
mod sync_daemon;
mod virtual_server;

pub use netlink_packet_core::DecodeError;

pub use config::{decode_info, decode_timeouts};
pub use real_server::decode_real_server;
pub use request::decode_request;
pub use sync_daemon::decode_sync_daemon;
pub use virtual_server::decode_virtual_server;

pub(crate) use message::Command;
pub(crate) use request::{encode_read, encode_request};

use crate::Unsupported;

/// The result of decoding: the value; or a well-formed object that cannot be represented; or an
/// error for malformed bytes.
pub type Decoded<T> = Result<Result<T, Unsupported>, DecodeError>;
