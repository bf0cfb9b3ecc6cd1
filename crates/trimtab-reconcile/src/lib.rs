//! trimtab-reconcile
