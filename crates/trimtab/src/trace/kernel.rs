//! What the kernel holds, for tracing on a node.

use trimtab_core::SetId;
use trimtab_reconcile::ports::{Observer, PortError};
use trimtab_reconcile::{KernelState, VirtualServerState};

/// Reads the sets, the VIPs and all virtual servers.
///
/// # Errors
/// What could not be read.
pub fn read(kernel: &mut impl Observer) -> Result<KernelState, PortError> {
    let mut state = KernelState::default();
    for set in SetId::all() {
        state.elements.extend(kernel.elements(set)?.into_iter().map(|element| (set, element)));
    }
    state.addresses.extend(kernel.addresses()?);
    for server in kernel.virtual_servers()? {
        let frontend = server.frontend;
        let real_servers = kernel.real_servers(&frontend)?;
        let real_servers = real_servers.into_iter().map(|real| (real.key, real)).collect();
        state.virtual_servers.insert(frontend, VirtualServerState { server, real_servers });
    }
    Ok(state)
}
