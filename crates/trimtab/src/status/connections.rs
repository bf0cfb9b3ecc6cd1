//! Adds the kernel's counts of connections to what the daemon tells.

use hashbrown::HashMap;
use trimtab_admin::{Connections, Frontend, Protocol, Service};
use trimtab_core::{self as core, Family, RealServerKey};
use trimtab_linux::IpvsView;

/// Counts the connections of every real server here: one request to the kernel for each frontend.
///
/// # Errors
/// Why they cannot be counted, in words.
pub(crate) fn count(services: &mut [Service]) -> Result<(), String> {
    let words = |error| format!("{error}");
    let mut ipvs = IpvsView::open().map_err(words)?;
    let frontends = services.iter_mut().flat_map(|service| &mut service.frontends);
    for frontend in frontends.filter(|frontend| !frontend.real_servers.is_empty()) {
        let Some(key) = key(frontend) else { continue };
        let counted = ipvs.real_servers(&key).map_err(words)?;
        let counts: HashMap<RealServerKey, Connections> = counted
            .into_iter()
            .map(|it| (it.server.key, Connections { active: it.active, inactive: it.inactive }))
            .collect();
        for real in &mut frontend.real_servers {
            let key = RealServerKey::new(real.address, real.port);
            real.connections = counts.get(&key).copied();
        }
    }
    Ok(())
}

/// What identifies a frontend in the kernel.
pub(crate) fn key(frontend: &Frontend) -> Option<core::Frontend> {
    let protocol = match frontend.protocol {
        Protocol::Tcp => core::Protocol::Tcp,
        Protocol::Udp => core::Protocol::Udp,
        Protocol::Sctp => core::Protocol::Sctp,
    };
    let family = if frontend.ipv6 { Family::V6 } else { Family::V4 };
    match (frontend.address, frontend.port, frontend.mark) {
        (Some(address), Some(port), _) => Some(core::Frontend::new(protocol, address, port)),
        (_, _, Some(mark)) => Some(core::Frontend::Mark { mark, family }),
        _ => None,
    }
}
