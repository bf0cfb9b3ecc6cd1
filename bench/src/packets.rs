//! The data path: new connections per second and the latency of requests, through a VIP and
//! directly.
//!
//! Every program and number of Services has a network of its own, with a node, pods that answer and
//! clients, and all of them exist at the same time: values that are compared are measured in turns,
//! seconds apart.
//!
//! | module | what it does |
//! |---|---|
//! | [`message`], [`server`] | requests and answers; the pods that answer |
//! | [`target`], [`caller`], [`ports`] | the addresses to call, the calls, and their source ports |
//! | [`network`] | the network of one program, and where its clients are |
//! | [`stage`] | such a network with the running program, which holds every Service |
//! | [`turn`], [`rounds`] | one measurement, and all of them one after the other |
//! | [`proof`] | proof that the connections went through IPVS |
//! | [`conntrack`] | room for the connections of a run |
//! | [`report`], [`ratio`], [`table`] | results |

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
