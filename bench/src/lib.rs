//! Measures Trimtab.
