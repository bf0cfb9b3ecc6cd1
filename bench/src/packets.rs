//! The data path: new connections a second and the latency of requests, through a VIP and past it.
//!
//! Every program and number of Services has a network of its own, with a node, pods that answer and
//! clients, and all of them stand at once: what is compared is measured in turns, seconds apart.
//!
//! | module | what it knows |
//! |---|---|
//! | [`message`], [`server`] | what is said, and who answers |
//! | [`target`], [`caller`], [`ports`] | who is called, the calls, and the ports that they come from |
//! | [`network`] | the network of one program, and how to reach its pods from where |
//! | [`stage`] | such a network with the program at work, until it holds every Service |
//! | [`turn`], [`rounds`] | one measurement, and all of them one after the other |
//! | [`proof`] | that what was measured went through IPVS |
//! | [`conntrack`] | room for the connections of a run |
//! | [`report`], [`ratio`], [`table`] | what comes out |

pub mod caller;
pub mod conntrack;
pub mod message;
pub mod network;
pub mod ports;
pub mod proof;
pub mod ratio;
pub mod report;
pub mod rounds;
pub mod server;
pub mod stage;
pub mod table;
pub mod target;
pub mod turn;
