//! The frontends that one Service asks for, found by frontend or by port.

use trimtab_core::{Family, Frontend, Protocol};

use super::PortEntry;
use crate::desired::Request;
use crate::steps;

/// Up to so many requests are looked through one by one; nearly every Service has no more.
const FEW: usize = 16;

/// The frontends that one Service asks for, in order of frontend.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    all: Vec<Request>,
    /// Where there are many: their places in order of port.
    by_port: Vec<u32>,
}

impl Requests {
    /// From requests that are in order of frontend, each frontend once.
    pub(crate) fn new(all: Vec<Request>) -> Self {
        let mut by_port = Vec::new();
        if all.len() > FEW {
            by_port = (0..).take(all.len()).collect();
            by_port.sort_unstable_by_key(|place: &u32| port_of(&all[*place as usize]));
        }
        Self { all, by_port }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Request> {
        self.all.iter()
    }

    /// The request for a frontend.
    pub(crate) fn get(&self, frontend: &Frontend) -> Option<&Request> {
        let place = self.all.binary_search_by(|request| {
            steps::count(1);
            request.frontend.cmp(frontend)
        });
        place.ok().map(|place| &self.all[place])
    }

    /// The requests that a port's endpoints answer.
    pub(crate) fn of_port<'a>(
        &'a self,
        port: &'a PortEntry,
    ) -> impl Iterator<Item = &'a Request> + 'a {
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
        let request = |place: usize| match self.by_port.get(place) {
            Some(place) => &self.all[*place as usize],
            None => &self.all[place],
        };
        places.map(request).filter(move |request| port_of(request) == wanted)
    }
}

fn port_of(request: &Request) -> (Family, Protocol, &str) {
    (request.frontend.family(), request.protocol, &request.port)
}
