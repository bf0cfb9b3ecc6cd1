//! Every endpoint of a large Service is replaced, one after the other.

use std::net::Ipv4Addr;
use std::time::Duration;

use test_api::Cluster;
use trimtab_bench::objects::{self, Endpoint};

use crate::api::Resource;
use crate::daemon::Daemon;
use crate::heap::Heap;
use crate::kernel::Tally;

const SLICE: usize = 100;
const NAME: &str = "rolling";
/// Of one event, a slice of a hundred endpoints: what was measured, and a tenth more. Most is the
/// name of each endpoint's node.
const ALLOCATIONS: usize = 178;

/// What replacing all endpoints costs: each new one comes, then an old one goes.
fn replace_all(slices: usize, yaml: &str) -> (Tally, Heap) {
    let daemon = Daemon::start(&Cluster::synthetic(100, 10, 1), yaml);
    let mut endpoints: Vec<Vec<Endpoint>> =
        (0..slices).map(|part| (0..SLICE).map(|at| endpoint(part, at, 64)).collect()).collect();
    let line = |change: &str, part, endpoints: &[Endpoint]| {
        (Resource::Slices, objects::event(change, &objects::slice(NAME, part, endpoints)))
    };
    let service = objects::service(NAME, Ipv4Addr::new(10, 96, 0, 200));
    daemon.send((Resource::Services, objects::event("ADDED", &service)));
    for (part, endpoints) in endpoints.iter().enumerate() {
        daemon.send(line("ADDED", part, endpoints));
    }
    let before = daemon.kernel.tally();
    let mut heap = Heap::default();
    for (part, endpoints) in endpoints.iter_mut().enumerate() {
        for at in 0..SLICE {
            endpoints.push(endpoint(part, at, 65));
            heap += daemon.send(line("MODIFIED", part, endpoints));
            endpoints.remove(0);
            heap += daemon.send(line("MODIFIED", part, endpoints));
        }
    }
    // Those that drain have no connection and go.
    daemon.wait(Duration::from_secs(6));
    let tally = daemon.kernel.tally() - before;
    let events = 2 * SLICE * slices;
    println!(
        "{} endpoints, {yaml:?}: {tally:?}; an event {} allocations, {} bytes",
        slices * SLICE,
        heap.allocations / events,
        heap.bytes / events,
    );
    (tally, heap)
}

fn endpoint(part: usize, at: usize, second: u8) -> Endpoint {
    let [part, at] = [part, at].map(|number| u8::try_from(number).unwrap());
    Endpoint { address: Ipv4Addr::new(10, second, part, at), node: 1, ready: true, hint: false }
}

#[test]
fn a_rolling_update_costs_two_messages_an_endpoint_and_three_with_draining() {
    let (tally, _) = replace_all(10, "trimtab: {drainTimeout: 0s}");
    assert_eq!(tally, Tally { ipvs: 2000, added: 1000, deleted: 1000, ..Tally::default() });
    let (tally, _) = replace_all(10, "");
    assert_eq!(
        tally,
        Tally { ipvs: 3000, added: 1000, set: 1000, deleted: 1000, ..Tally::default() }
    );
}

#[test]
fn a_step_of_a_rolling_update_costs_the_same_in_a_service_of_any_size() {
    let [small, large] = [2, 10].map(|slices| {
        let (_, heap) = replace_all(slices, "trimtab: {drainTimeout: 0s}");
        (heap.allocations / slices, heap.bytes / slices)
    });
    assert!(large.0 <= ALLOCATIONS * 2 * SLICE, "{large:?}");
    assert!(large.0 <= small.0 + small.0 / 20, "allocations: {small:?} and {large:?}");
    assert!(large.1 <= small.1 + small.1 / 20, "bytes: {small:?} and {large:?}");
}
