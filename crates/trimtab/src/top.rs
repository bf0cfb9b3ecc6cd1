//! `trimtab top`: which Services have traffic now.
//!
//! | module | what it does |
//! |---|---|
//! | `ports` | what the kernel counted, as rates and history of each Service port |
//! | `sort` | by what Service ports are sorted |
//! | `app` | what is shown and what the keys do, without a terminal, a kernel or a clock |
//! | `view` | draws it |
//! | `lines` | the same as lines, for what is no terminal |
//! | `amount` | numbers in few characters |
//! | `names` | asks the daemon which Service port has a virtual server |
//! | `kernel` | reads counters and real servers |
//! | `screen` | the terminal: keys, and when to read and to draw |

mod amount;
mod app;
pub(crate) mod kernel;
pub(crate) mod lines;
pub(crate) mod names;
mod ports;
pub(crate) mod screen;
mod sort;
mod view;

pub(crate) use app::App;
pub(crate) use sort::SortKey;
