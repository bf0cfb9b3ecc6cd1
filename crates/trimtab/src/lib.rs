//! The program's parts, in a library so that tests and benchmarks can use them.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | arguments, and what each command does with them |
//! | [`config`] | kube-proxy's configuration file and flags |
//! | [`objects`], [`manifest`] | Kubernetes objects as slim values; objects from files |
//! | [`source`] | objects from the API server or a folder, as a stream of changes |
//! | [`daemon`] | the loop from changes to the kernel, and the audit beside it |
//! | [`linux`] | the real kernel, as the daemon sees it |
//! | [`plan`] | what the kernel should hold, as text |
//! | [`allocator`], [`kernel_memory`] | what the program and the kernel need of memory |
//! | [`warning`] | what people are told is wrong with their objects |
//! | [`health_check`] | an HTTP server for each health-check node port |
//! | [`contact`] | whether the API server is heard |
//! | [`health`], [`http`], [`metric`], [`logging`] | what others can see of it |
//! | [`mod@reference`] | the reference pages of the book |

pub mod allocator;
pub mod cli;
pub mod config;
pub mod contact;
pub mod daemon;
pub mod duration;
pub mod health;
pub mod health_check;
pub mod host;
pub mod http;
pub mod kernel_memory;
pub mod linux;
pub mod logging;
pub mod manifest;
pub mod metric;
pub mod node;
pub mod objects;
pub mod plan;
pub mod reference;
pub mod rules;
pub mod source;
pub mod warning;
