//! The frontends that one Service asks for, found by frontend or by port.

use trimtab_core::{Family, Frontend, Protocol};

use super::PortEntry;
use crate::desired::FrontendSpec;
use crate::steps;

/// Up to so many specs are looked through one by one; nearly every Service has no more.
const FEW: usize = 16;

/// The frontends that one Service asks for, in order of frontend.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontendSpecs {
    all: Vec<FrontendSpec>,
    /// Where there are many: their places in order of port.
    by_port: Vec<u32>,
}

impl FrontendSpecs {
    /// From specs that are in order of frontend, each frontend once.
    pub(crate) fn new(all: Vec<FrontendSpec>) -> Self {
        let mut by_port = Vec::new();
        if all.len() > FEW {
            by_port = (0..).take(all.len()).collect();
            by_port.sort_unstable_by_key(|place: &u32| port_of(&all[*place as usize]));
        }
        Self { all, by_port }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, FrontendSpec> {
        self.all.iter()
    }

    /// The spec for a frontend.
    pub(crate) fn get(&self, frontend: &Frontend) -> Option<&FrontendSpec> {
        let place = self.all.binary_search_by(|spec| {
            steps::count(1);
            spec.frontend.cmp(frontend)
        });
        place.ok().map(|place| &self.all[place])
    }

    /// The specs that a port's endpoints answer.
    pub(crate) fn of_port<'a>(
        &'a self,
        port: &'a PortEntry,
    ) -> impl Iterator<Item = &'a FrontendSpec> + 'a {
        let wanted = (port.family, port.protocol, &*port.name);
        let places = if self.by_port.is_empty() {
            0..self.all.len()
        } else {
            let at = |place: &u32| port_of(&self.all[*place as usize]);
            let start = self.by_port.partition_point(|place| at(place) < wanted);
            let rest = &self.by_port[start..];
            start..start + rest.partition_point(|place| at(place) == wanted)
        };
        steps::count(places.len());
        let spec = |place: usize| match self.by_port.get(place) {
            Some(place) => &self.all[*place as usize],
            None => &self.all[place],
        };
        places.map(spec).filter(move |spec| port_of(spec) == wanted)
    }
}

fn port_of(spec: &FrontendSpec) -> (Family, Protocol, &str) {
    (spec.frontend.family(), spec.protocol, &spec.port)
}
