//! trimtab-ipvs
