//! The traffic of Services, from what IPVS counts.
//!
//! It does not delay the loop: the loop only says whose frontends are, once for each change of
//! that, and reading has a socket and a thread of its own. One request reads the counters of all
//! virtual servers; it is sent once per interval. Active and inactive connections, and what single
//! endpoints have, take a request for each virtual server: only for the Service ports that are
//! shown, spread over the interval.
//!
//! | module | what it does |
//! |---|---|
//! | `owners` | hands from the loop to the meter which Service port has which frontend |
//! | `ledger` | adds up what the kernel counted, by Service port |
//! | `endpoints` | the same by endpoint, and open connections |
//! | `choice` | which Service ports are shown |
//! | `meter` | reads, on time and within its share of a processor |
//! | `shown` | the text that `/metrics` serves |

mod choice;
mod endpoints;
mod ledger;
mod meter;
mod owners;
mod shown;

pub use meter::Meter;
pub use owners::Owners;
pub use shown::Shown;
