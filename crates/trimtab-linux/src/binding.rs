//! Making VIPs this node's own: by addresses on the dummy interface, or by routes.

use std::net::IpAddr;

use hashbrown::HashSet;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::dummy::{self, Dummy};
use trimtab_host::local_route::{self, LocalRoute};
use trimtab_host::{Applied, Error, VipBinding};
use trimtab_netlink::Socket;

use super::prepare;

/// The VIPs that the kernel has bound in this way.
pub(super) fn bound(kind: VipBinding, route: &mut Socket) -> Result<Vec<IpAddr>, Error> {
    match kind {
        VipBinding::Address => {
            let Some(dummy) = dummy::find(route, DUMMY_INTERFACE)? else { return Ok(Vec::new()) };
            let mut found = dummy.addresses(route)?;
            found.retain(is_vip);
            Ok(found)
        }
        VipBinding::Route => {
            Ok(local_route::list(route)?.into_iter().map(|route| route.vip).collect())
        }
    }
}

/// Addresses that the kernel puts on an interface by itself are not VIPs.
fn is_vip(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(six) => !six.is_unicast_link_local(),
    }
}

/// Binds VIPs and lets go of them.
#[derive(Debug)]
pub(super) struct Binding {
    kind: VipBinding,
    dummy: Option<Dummy>,
    /// What the node's own connections to VIPs come from, of each family; for routes.
    sources: [Option<IpAddr>; 2],
}

impl Binding {
    pub(super) fn new(kind: VipBinding) -> Self {
        Self { kind, dummy: None, sources: [None; 2] }
    }

    pub(super) fn kind(&self) -> VipBinding {
        self.kind
    }

    /// Binds; what is bound already counts as done.
    pub(super) fn bind(&mut self, route: &mut Socket, vips: &[IpAddr]) -> Result<Applied, Error> {
        match self.kind {
            VipBinding::Address => self.on_dummy(route, |dummy, route| dummy.add(route, vips)),
            VipBinding::Route => {
                let routes: Vec<LocalRoute> = vips.iter().map(|vip| self.route_of(*vip)).collect();
                local_route::add(route, &routes)
            }
        }
    }

    /// Lets go; what is not bound counts as done.
    pub(super) fn unbind(&mut self, route: &mut Socket, vips: &[IpAddr]) -> Result<Applied, Error> {
        match self.kind {
            VipBinding::Address => self.on_dummy(route, |dummy, route| dummy.delete(route, vips)),
            VipBinding::Route => local_route::delete(route, vips),
        }
    }

    /// The node's own addresses, which routes name as source: those that name another are put in
    /// again. The kernel keeps a route of this table whose source is no address any more.
    pub(super) fn set_sources(
        &mut self,
        route: &mut Socket,
        sources: [Option<IpAddr>; 2],
    ) -> Result<(), Error> {
        if self.kind == VipBinding::Address || self.sources == sources {
            return Ok(());
        }
        self.sources = sources;
        let routes: Vec<LocalRoute> = local_route::list(route)?
            .into_iter()
            .map(|there| (there, self.route_of(there.vip)))
            .filter(|(there, wanted)| there != wanted)
            .map(|(_, wanted)| wanted)
            .collect();
        local_route::add(route, &routes)?.into_result()
    }

    /// Lets go of the VIPs that are bound the other way, as an earlier configuration or kube-proxy
    /// did, except those in `keep`; how many.
    pub(super) fn retire_other(
        &mut self,
        route: &mut Socket,
        keep: &HashSet<IpAddr>,
    ) -> Result<usize, Error> {
        let kind = match self.kind {
            VipBinding::Address => VipBinding::Route,
            VipBinding::Route => VipBinding::Address,
        };
        let mut vips = bound(kind, route)?;
        vips.retain(|vip| !keep.contains(vip));
        if !vips.is_empty() {
            let mut other = Self { kind, dummy: self.dummy, sources: [None; 2] };
            other.unbind(route, &vips)?.into_result()?;
        }
        Ok(vips.len())
    }

    fn route_of(&self, vip: IpAddr) -> LocalRoute {
        LocalRoute { vip, source: self.sources[Family::of(vip) as usize] }
    }

    fn on_dummy(
        &mut self,
        route: &mut Socket,
        work: impl FnOnce(Dummy, &mut Socket) -> Result<Applied, Error>,
    ) -> Result<Applied, Error> {
        let dummy = match self.dummy {
            Some(dummy) => dummy,
            None => *self.dummy.insert(prepare::dummy(route)?),
        };
        let applied = work(dummy, route)?;
        if applied.failed.iter().any(|failed| failed.error.is_not_found()) {
            // Somebody deleted the interface: look for it again next time.
            self.dummy = None;
        }
        Ok(applied)
    }
}
