//! `trimtab trace`: what a packet meets on this node, and who gets it.

mod json;
mod kernel;
mod question;
mod text;
mod verdict;

pub use json::render as json;
pub use kernel::read as kernel_state;
pub use question::{From, Question, Source, destination, source};
pub use text::render as text;

use trimtab_core::Frontend;
use trimtab_reconcile::Programmed;

/// Which Service has a virtual server, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Owners<'a>(pub &'a [Programmed]);

impl Owners<'_> {
    /// The name of the Service that has it.
    fn of(&self, frontend: &Frontend) -> Option<String> {
        let owner = self.0.iter().find(|service| service.frontends.contains(frontend));
        owner.map(|service| service.service.to_string())
    }
}
