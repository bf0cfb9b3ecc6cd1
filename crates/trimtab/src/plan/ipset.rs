//! Sets as `ipset save` prints them, without what the kernel chooses at random.

use std::fmt::Write as _;

use trimtab_core::{Family, SetId, SetType};
use trimtab_host::ipset::SetSpec;
use trimtab_reconcile::KernelState;

pub(super) fn render(state: &KernelState, families: &[Family]) -> String {
    let mut text = String::new();
    for set in SetId::all().filter(|set| families.contains(&set.family)) {
        let elements: Vec<_> =
            state.elements.iter().filter(|(id, _)| *id == set).map(|(_, e)| e).collect();
        let set_type = set.kind.set_type();
        let header = if set_type == SetType::BitmapPort {
            "range 0-65535".to_owned()
        } else {
            let family = match set.family {
                Family::V4 => "inet",
                Family::V6 => "inet6",
            };
            let count = u32::try_from(elements.len()).unwrap_or(u32::MAX);
            let most = SetSpec::of(set, count).max_elements;
            let marks = if set.kind.has_marks() { " skbinfo" } else { "" };
            format!("family {family} hashsize 1024 maxelem {most}{marks}")
        };
        let _ = writeln!(text, "create {set} {set_type} {header}");
        for element in elements {
            let _ = writeln!(text, "add {set} {element}");
        }
    }
    text
}
