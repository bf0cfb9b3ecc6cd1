//! trimtab-host
