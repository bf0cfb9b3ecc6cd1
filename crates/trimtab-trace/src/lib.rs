//! Follows the first packet of a connection through the rules, the sets and the virtual servers of a
//! node; pure, no I/O.
//!
//! The rules are not described a second time here: [`trace`] interprets the very values that are
//! printed for `iptables-restore`, so it cannot disagree with them. Rules of other programs are not
//! known to it.
//!
//! | module | what it does |
//! |---|---|
//! | `packet` | the packet, and where it comes from |
//! | `node` | what the node holds, and which of its addresses are local |
//! | `headers` | addresses, ports and protocol, as they are at one point of the way |
//! | `sets` | which element of a set a packet matches |
//! | `passing` | a packet on its way, as the conditions of rules see it |
//! | `tables` | takes a packet through the rules of one table at one hook |
//! | `path` | the hooks in the order in which the kernel calls them, with IPVS among them |
//! | `outcome`, `step` | what was found, as values |
//! | `words` | steps in sentences |

mod headers;
mod node;
mod outcome;
mod packet;
mod passing;
mod path;
mod sets;
mod step;
mod tables;
mod words;

pub use node::Node;
pub use outcome::{Candidate, End, Outcome, Trace, Way, Where};
pub use packet::{Packet, Place};
pub use path::trace;
pub use step::{Effect, Hook, RuleStep, Step};
