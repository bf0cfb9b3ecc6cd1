//! `trimtab trace`: what a packet meets on this node, and who gets it.

mod json;
mod kernel;
mod owners;
mod question;
mod text;
mod verdict;

pub use json::render as json;
pub use kernel::read as kernel_state;
pub use owners::Owners;
pub use question::{From, Question, Source, destination, source};
pub use text::render as text;
