//! Changes of a cluster, without end.

use std::net::Ipv4Addr;

use test_api::Cluster;
use trimtab_bench::objects::{self, Endpoint};

use crate::api::Resource;

/// A cluster that changes: a line of a watch for each change.
pub(crate) struct Churn {
    /// The endpoints of each Service.
    endpoints: Vec<Vec<Endpoint>>,
    /// The endpoint that left its slice.
    gone: Option<Endpoint>,
    /// Pods and nodes that came since the start.
    fresh: usize,
    /// Services that came.
    passed: usize,
}

/// How many Services that came are there at once.
const PASSING: usize = 20;

impl Churn {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let all = 0..cluster.services();
        let endpoints = all.map(|number| objects::endpoints(cluster, number)).collect();
        Self { endpoints, gone: None, fresh: 0, passed: 0 }
    }

    /// The first endpoint of a Service that is on this node, or on another.
    pub(crate) fn endpoint_at(&self, service: usize, here: bool) -> Option<usize> {
        let is_there = |endpoint: &Endpoint| (endpoint.node == crate::daemon::HERE) == here;
        self.endpoints[service].iter().position(is_there)
    }

    /// An endpoint that was ready is not, or is again.
    pub(crate) fn toggle(&mut self, service: usize, endpoint: usize) -> (Resource, String) {
        let endpoint = &mut self.endpoints[service][endpoint];
        endpoint.ready = !endpoint.ready;
        self.changed(service)
    }

    /// An endpoint leaves its slice, or is in it again.
    pub(crate) fn come_or_go(&mut self, service: usize, endpoint: usize) -> (Resource, String) {
        let endpoints = &mut self.endpoints[service];
        match self.gone.take() {
            Some(gone) => endpoints.insert(endpoint, gone),
            None => self.gone = Some(endpoints.remove(endpoint)),
        }
        self.changed(service)
    }

    /// Another pod takes an endpoint's place: an address that was never seen.
    pub(crate) fn replace(&mut self, service: usize, endpoint: usize) -> (Resource, String) {
        let (address, node) = (self.address(), self.fresh % 100 + 1);
        self.endpoints[service][endpoint] = Endpoint { address, node, ready: true, hint: false };
        self.changed(service)
    }

    /// Another pod takes an endpoint's place, on a node that was never seen, and hints at it.
    pub(crate) fn replace_node(&mut self, service: usize, endpoint: usize) -> (Resource, String) {
        let (address, node) = (self.address(), 1000 + self.fresh);
        self.endpoints[service][endpoint] = Endpoint { address, node, ready: true, hint: true };
        self.changed(service)
    }

    /// A Service that was never seen comes with an endpoint, and the oldest such goes.
    pub(crate) fn pass(&mut self) -> Vec<(Resource, String)> {
        let (address, number) = (self.address(), self.passed);
        self.passed += 1;
        let mut lines = Vec::from(passing(number, address, "ADDED"));
        if let Some(oldest) = number.checked_sub(PASSING) {
            lines.extend(passing(oldest, address, "DELETED"));
        }
        lines
    }

    fn changed(&self, service: usize) -> (Resource, String) {
        let name = Cluster::service_name(service);
        let slice = objects::slice(&name, 0, &self.endpoints[service]);
        (Resource::Slices, objects::event("MODIFIED", &slice))
    }

    fn address(&mut self) -> Ipv4Addr {
        self.fresh += 1;
        Ipv4Addr::from_bits(
            Ipv4Addr::new(10, 32, 0, 0).to_bits() + u32::try_from(self.fresh).unwrap(),
        )
    }
}

fn passing(number: usize, address: Ipv4Addr, change: &str) -> [(Resource, String); 2] {
    let name = format!("passing-{number:08}");
    let first = Ipv4Addr::new(10, 112, 0, 0).to_bits();
    let vip = Ipv4Addr::from_bits(first + u32::try_from(number).unwrap());
    let endpoint = Endpoint { address, node: 1, ready: true, hint: false };
    let service = objects::service(&name, vip);
    let slice = objects::slice(&name, 0, &[endpoint]);
    [
        (Resource::Services, objects::event(change, &service)),
        (Resource::Slices, objects::event(change, &slice)),
    ]
}
