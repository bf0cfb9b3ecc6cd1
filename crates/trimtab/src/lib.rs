//! The program's parts, in a library so that the tests of the documentation can use them.
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | arguments, and what each command does with them |
//! | [`check`] | what a node lacks and what prevents Trimtab from serving |
//! | [`diff`] | differences between what the kernel should hold and what it holds |
//! | [`explain`] | why a Service is programmed as it is, as text |
//! | [`plan`] | what the kernel should hold, as text |
//! | [`mod@status`] | what is programmed, as tables and as data |
//! | `top` | which Services have traffic now, drawn on a terminal or as lines |
//! | [`trace`] | what a packet meets on a node, as text |
//! | `report` | what a bug report needs, as an archive |
//! | [`mod@reference`] | the reference pages of the book |
//! | `config_file`, `logging` | watching the configuration file; log lines |
//! | `terminal` | colours, and the progress of long work |

pub mod check;
pub mod cli;
pub mod diff;
pub mod explain;
pub mod plan;
pub mod reference;
pub mod status;
pub mod trace;

mod config_file;
mod logging;
mod report;
mod terminal;
mod top;
