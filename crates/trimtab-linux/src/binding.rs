//! Binds VIPs to the node: by addresses on the dummy interface, or by routes.

use std::net::IpAddr;

use hashbrown::HashSet;
use tokio::sync::watch;
use trimtab_core::{DUMMY_INTERFACE, Family};
use trimtab_host::dummy::{self, Dummy};
use trimtab_host::local_route::{self, LocalRoute};
use trimtab_host::{Applied, Error, VipBinding};
use trimtab_netlink::Socket;

use super::prepare;

/// The source address of the node's own connections to VIPs, for each family; used by routes.
pub(super) type Sources = [Option<IpAddr>; 2];

/// The VIPs that are bound in this way.
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

/// Of these, those that are bound as they should be: a route with another source is to be written
/// again.
pub(super) fn well_bound(
    kind: VipBinding,
    sources: Sources,
    route: &mut Socket,
) -> Result<Vec<IpAddr>, Error> {
    match kind {
        VipBinding::Address => bound(kind, route),
        VipBinding::Route => Ok(local_route::list(route)?
            .into_iter()
            .filter(|there| *there == route_of(sources, there.vip))
            .map(|there| there.vip)
            .collect()),
    }
}

fn route_of(sources: Sources, vip: IpAddr) -> LocalRoute {
    LocalRoute { vip, source: sources[Family::of(vip) as usize] }
}

/// Addresses that the kernel puts on an interface by itself are not VIPs.
fn is_vip(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(six) => !six.is_unicast_link_local(),
    }
}

/// Binds and unbinds VIPs.
#[derive(Debug)]
pub(super) struct Binding {
    kind: VipBinding,
    sources: watch::Sender<Sources>,
}

impl Binding {
    pub(super) fn new(kind: VipBinding) -> Self {
        Self { kind, sources: watch::Sender::default() }
    }

    /// The sources of routes, for comparisons.
    pub(super) fn sources(&self) -> watch::Receiver<Sources> {
        self.sources.subscribe()
    }

    pub(super) fn kind(&self) -> VipBinding {
        self.kind
    }

    /// Binds VIPs; one that is already bound counts as done.
    pub(super) fn bind(&mut self, route: &mut Socket, vips: &[IpAddr]) -> Result<Applied, Error> {
        match self.kind {
            VipBinding::Address => on_dummy(route, |dummy, route| dummy.add(route, vips)),
            VipBinding::Route => {
                let sources = *self.sources.borrow();
                let routes: Vec<LocalRoute> =
                    vips.iter().map(|vip| route_of(sources, *vip)).collect();
                local_route::add(route, &routes)
            }
        }
    }

    /// Unbinds VIPs; one that is not bound counts as done.
    pub(super) fn unbind(&mut self, route: &mut Socket, vips: &[IpAddr]) -> Result<Applied, Error> {
        match self.kind {
            VipBinding::Address => on_dummy(route, |dummy, route| dummy.delete(route, vips)),
            VipBinding::Route => local_route::delete(route, vips),
        }
    }

    /// Sets the node's own addresses, which are the source addresses of routes: routes with another
    /// source are added again, because the kernel keeps a route of this table after its source
    /// address is gone.
    pub(super) fn set_sources(
        &mut self,
        route: &mut Socket,
        sources: Sources,
    ) -> Result<(), Error> {
        if self.kind == VipBinding::Address || *self.sources.borrow() == sources {
            return Ok(());
        }
        self.sources.send_replace(sources);
        let routes: Vec<LocalRoute> = local_route::list(route)?
            .into_iter()
            .map(|there| (there, route_of(sources, there.vip)))
            .filter(|(there, wanted)| there != wanted)
            .map(|(_, wanted)| wanted)
            .collect();
        local_route::add(route, &routes)?.into_result()
    }

    /// Unbinds the VIPs that are bound the other way, by an earlier configuration or kube-proxy,
    /// except those in `keep`; returns how many.
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
            let mut other = Self::new(kind);
            other.unbind(route, &vips)?.into_result()?;
        }
        Ok(vips.len())
    }
}

/// Does something with the dummy interface, which is looked for each time, in one request: somebody
/// may have deleted it, or given its name to another one.
fn on_dummy(
    route: &mut Socket,
    work: impl FnOnce(Dummy, &mut Socket) -> Result<Applied, Error>,
) -> Result<Applied, Error> {
    let dummy = prepare::dummy(route)?;
    work(dummy, route)
}
