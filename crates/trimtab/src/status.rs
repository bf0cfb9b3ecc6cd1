//! `trimtab status`: what is programmed on this node.
//!
//! | module | what it does |
//! |---|---|
//! | `target` | the Services that are asked for |
//! | `connections` | adds the kernel's counts to what the daemon tells |
//! | `kernel` | without a daemon: virtual servers as the kernel has them |
//! | `summary`, `services`, `table` | as text |

pub(crate) mod connections;
pub(crate) mod kernel;
pub(crate) mod services;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod target;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use trimtab_admin::{Service, Summary};

pub(crate) use kernel::{mark_of, socket};
pub(crate) use services::{kind, protocol};

use kernel::KernelServer;

/// What is programmed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Status {
    /// As the daemon tells it, with the kernel's counts.
    Daemon {
        /// The daemon as a whole.
        summary: Box<Summary>,
        /// The Services that are asked for.
        services: Vec<Service>,
        /// Why there are no counts, if there are none.
        #[serde(skip_serializing_if = "Option::is_none")]
        uncounted: Option<String>,
    },
    /// Without a daemon: what the kernel has.
    #[serde(rename_all = "camelCase")]
    Kernel {
        /// Why the daemon could not be asked.
        no_daemon: String,
        /// Virtual servers of the kernel, Trimtab's or not.
        virtual_servers: Vec<KernelServer>,
    },
}

/// How a table is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// How much of it.
    pub(crate) width: Width,
    /// Whether in colours.
    pub(crate) colours: bool,
    /// When, for ages.
    pub(crate) now: Timestamp,
}

/// How much a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// What fits on a terminal.
    Usual,
    /// All of it.
    Wide,
}

impl Status {
    /// As text for people.
    pub(crate) fn table(&self, view: View) -> String {
        match self {
            Self::Daemon { summary, services, uncounted } => {
                let mut text = summary::text(summary, view.now);
                if let Some(why) = uncounted {
                    let _ = writeln!(text, "no counts of connections: {why}");
                }
                text.push('\n');
                text + &services::text(services, view)
            }
            Self::Kernel { no_daemon, virtual_servers } => {
                let mut text = format!(
                    "{no_daemon}\nThis is what the kernel holds, of Trimtab and of other programs; \
                     which Service has it is not known.\n\n"
                );
                text += &kernel::text(virtual_servers, view);
                text
            }
        }
    }
}
