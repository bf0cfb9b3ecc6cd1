//! VIPs, one per line.

use std::fmt::Write as _;

use trimtab_core::Family;
use trimtab_reconcile::KernelState;

pub(super) fn render(state: &KernelState, families: &[Family]) -> String {
    let mut text = String::new();
    for address in state.addresses.iter().filter(|a| families.contains(&Family::of(**a))) {
        let _ = writeln!(text, "{address}");
    }
    text
}
