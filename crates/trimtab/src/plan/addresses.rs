//! VIPs, one a line.

use trimtab_core::Family;
use trimtab_reconcile::KernelState;

pub(super) fn render(state: &KernelState, families: &[Family]) -> String {
    state
        .addresses
        .iter()
        .filter(|address| families.contains(&Family::of(**address)))
        .map(|address| format!("{address}\n"))
        .collect()
}
