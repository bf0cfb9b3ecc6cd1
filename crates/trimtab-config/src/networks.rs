//! Lists of networks in configuration fields.

use ipnet::IpNet;
use trimtab_core::Family;

use crate::complaint::Wrong;

/// Reads a list of CIDRs.
pub(super) fn networks<'a>(
    field: &str,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<IpNet>, Wrong> {
    let mut found = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        let net = text.trim().parse::<IpNet>().map_err(|_| {
            Wrong::new(format!("{field}[{index}]"), format!("{text:?} is not a CIDR"))
        })?;
        found.push(net.trunc());
    }
    Ok(found)
}

/// Reads `clusterCIDR`: one network, or one of each family, separated by a comma.
pub(super) fn network_pair(field: &str, text: &str) -> Result<Vec<IpNet>, Wrong> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let found = networks(field, texts)?;
    let families = found.iter().map(|net| Family::of(net.addr()));
    let distinct = families.collect::<std::collections::BTreeSet<_>>().len();
    if found.len() > 2 || distinct != found.len() {
        return Err(Wrong::new(field, "expected one CIDR, or one of each family"));
    }
    Ok(found)
}
