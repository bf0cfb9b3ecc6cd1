//! The text of the traffic metrics, as last written by the meter.

use std::sync::{Arc, Mutex, PoisonError};

/// What `/metrics` serves of traffic. A scrape reads it and never waits for the kernel.
#[derive(Debug, Default)]
pub struct Shown(Mutex<Arc<str>>);

impl Shown {
    /// The text; empty before the first reading.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }
}
