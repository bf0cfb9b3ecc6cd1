//! What the daemon needs of a kernel.

use std::net::IpAddr;

use hashbrown::HashSet;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};
use trimtab_reconcile::Kernel;

/// A kernel that can be programmed and read: Linux, or a fake in tests. Calls block for as long as
/// the kernel takes, which is why the daemon's loop has a thread of its own.
pub trait DataPlane: Kernel {
    /// Makes everything that does not depend on Services: modules, sysctls, the dummy interface,
    /// sets and rules. Changes only what differs.
    ///
    /// # Errors
    /// The first step that failed, with its remedy.
    fn prepare(&mut self) -> anyhow::Result<()>;

    /// Removes what kube-proxy left in its other modes, to be called once IPVS serves; what was
    /// removed, in words.
    ///
    /// # Errors
    /// When it cannot be found or removed.
    fn remove_leftovers(&mut self) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The elements of one set.
    ///
    /// # Errors
    /// When the set cannot be read.
    fn elements(&mut self, set: SetId) -> anyhow::Result<Vec<SetElement>>;

    /// The VIPs that are bound to the node, by addresses on the dummy interface or by routes.
    ///
    /// # Errors
    /// When they cannot be read.
    fn addresses(&mut self) -> anyhow::Result<Vec<IpAddr>>;

    /// Takes note of the node's addresses: `primary` as its Node object has them, `local` on its
    /// interfaces.
    ///
    /// # Errors
    /// When what depends on them cannot be put right.
    fn set_node_addresses(
        &mut self,
        _primary: &[IpAddr],
        _local: &[LocalAddress],
    ) -> anyhow::Result<()> {
        Ok(())
    }

    /// Lets go of VIPs that an earlier configuration bound another way, except those in `keep`; how
    /// many. To be called when all others that are wanted are bound this way.
    ///
    /// # Errors
    /// When they cannot be read or let go.
    fn retire_other_binding(&mut self, _keep: &HashSet<IpAddr>) -> anyhow::Result<usize> {
        Ok(0)
    }

    /// All virtual servers.
    ///
    /// # Errors
    /// When they cannot be read.
    fn virtual_servers(&mut self) -> anyhow::Result<Vec<VirtualServer>>;

    /// One virtual server; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn virtual_server(&mut self, frontend: &Frontend) -> anyhow::Result<Option<VirtualServer>>;

    /// The real servers of one virtual server; none if there is no such virtual server.
    ///
    /// # Errors
    /// When they cannot be read.
    fn real_servers(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<RealServer>>;

    /// Forgets datagrams' flows of one family to these frontends that nobody translated: those from
    /// before the frontends were served. Returns how many there were.
    ///
    /// # Errors
    /// When the kernel's connection tracking cannot be read or changed.
    fn forget_unserved(&mut self, family: Family, frontends: &[Frontend]) -> anyhow::Result<usize>;

    /// The connections, active and inactive, of each of its real servers.
    ///
    /// # Errors
    /// When they cannot be read.
    fn connections(&mut self, frontend: &Frontend) -> anyhow::Result<Vec<(RealServerKey, u64)>>;
}
