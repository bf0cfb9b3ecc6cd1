//! The admin socket: answers questions about this daemon to root on this node.
//!
//! ```text
//! trimtab status ──► socket ──► Desk ──► Asker ──► SyncLoop
//!                                 └──► Health, Warnings
//! ```
//!
//! What is asked and answered is in `trimtab-admin`. The loop answers one question in each turn, with
//! a limited number of rows; readers ask for page after page.

mod claim;
mod desk;
mod explanation;
mod serve;
mod told;

pub use desk::Desk;
pub use explanation::explanation;
pub use serve::serve;
