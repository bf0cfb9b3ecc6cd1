//! Linux as the loop's data plane: reading and preparing the kernel; `apply.rs` carries out plans.

use std::net::IpAddr;

use hashbrown::HashSet;
use trimtab_core::objects::LocalAddress;
use trimtab_core::{Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer};
use trimtab_host::conntrack;
use trimtab_ipvs::CountedRealServer;
use trimtab_reconcile::ports::{DataPlane, Observer, PortError};

use crate::binding::bound;
use crate::reader::{elements, real_servers, virtual_servers};
use crate::{Linux, leftovers, prepare};

impl Observer for Linux {
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError> {
        elements(&mut self.sets, set)
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        Ok(bound(self.binding.kind(), &mut self.route)?)
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        virtual_servers(&mut self.ipvs)
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        real_servers(&mut self.ipvs, &mut self.ipvs_options, frontend)
    }
}

impl DataPlane for Linux {
    fn prepare(&mut self) -> Result<(), PortError> {
        Ok(self.prepare_host()?)
    }

    fn remove_leftovers(&mut self) -> Result<Vec<String>, PortError> {
        let networks = self.pod_networks.borrow().clone();
        let ours = self.options.rules.rule_sets(&networks, &self.families)?;
        Ok(leftovers::remove(self.filters, &ours, &mut self.tracking)?)
    }

    fn set_node_addresses(
        &mut self,
        primary: &[IpAddr],
        local: &[LocalAddress],
    ) -> Result<(), PortError> {
        let sources = Family::ALL.map(|family| {
            let mut own = primary.iter().filter(|own| Family::of(**own) == family);
            own.find(|own| local.iter().any(|local| local.address == **own)).copied()
        });
        Ok(self.binding.set_sources(&mut self.route, sources)?)
    }

    fn retire_other_binding(&mut self, keep: &HashSet<IpAddr>) -> Result<usize, PortError> {
        Ok(self.binding.retire_other(&mut self.route, keep)?)
    }

    fn virtual_server(&mut self, frontend: &Frontend) -> Result<Option<VirtualServer>, PortError> {
        let found = self.ipvs.ask(|ipvs| ipvs.virtual_server(frontend))?;
        Ok(found.map(|observed| observed.server))
    }

    fn take_renewed(&mut self) -> bool {
        let renewed = self.ipvs.take_renewed();
        if renewed {
            prepare::timeouts(self.ipvs.client(), &self.options);
        }
        renewed
    }

    fn forget_unserved(
        &mut self,
        family: Family,
        frontends: &[Frontend],
    ) -> Result<usize, PortError> {
        Ok(conntrack::forget_unserved(&mut self.tracking, family, frontends)?)
    }

    fn connections(&mut self, frontend: &Frontend) -> Result<Vec<(RealServerKey, u64)>, PortError> {
        let sum = |active: u32, inactive: u32| u64::from(active) + u64::from(inactive);
        if let Ok(Some(found)) = self.ipvs_options.real_servers(frontend) {
            let count = |real: CountedRealServer| {
                (real.server.key, sum(real.active_connections, real.inactive_connections))
            };
            return Ok(found.into_iter().map(count).collect());
        }
        let observed = self.ipvs.ask(|ipvs| ipvs.real_servers(frontend))?;
        Ok(observed
            .into_iter()
            .map(|real| (real.server.key, sum(real.active_connections, real.inactive_connections)))
            .collect())
    }
}
