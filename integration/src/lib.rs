//! Proves Trimtab on a real kernel.
