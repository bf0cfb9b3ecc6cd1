//! One endpoint changes.

use test_api::Cluster;

use crate::churn::Churn;
use crate::daemon::Daemon;
use crate::heap::Heap;
use crate::kernel::Tally;

const EVENTS: usize = 1000;
/// Limits for one event, a slice of ten endpoints: the measured value plus a tenth.
const ALLOCATIONS: usize = 59;
const BYTES: usize = 6650;

/// Endpoints come and go, of Services all over the cluster: here, or elsewhere.
fn come_and_go(services: usize, here: bool) -> (Tally, Heap) {
    let cluster = Cluster::synthetic(services, 10, 1);
    let daemon = Daemon::start(&cluster, "trimtab: {drainTimeout: 0s}");
    let mut churn = Churn::new(&cluster);
    let places: Vec<_> = (0..services)
        .map(|number| number * 61 % services)
        .filter_map(|service| Some((service, churn.endpoint_at(service, here)?)))
        .collect();
    assert!(places.len() > services / 20, "{}", places.len());
    let mut events = |count| {
        let places = places.iter().cycle().take(count / 2);
        let lines: Vec<_> = places
            .flat_map(|(service, endpoint)| [(); 2].map(|()| churn.come_or_go(*service, *endpoint)))
            .collect();
        daemon.send_all(lines)
    };
    // Maps and buffers reach their size.
    events(EVENTS / 5);
    let counted = events(EVENTS);
    println!(
        "{services} Services, endpoints {}: {:?}; an event {} allocations, {} bytes",
        if here { "here" } else { "elsewhere" },
        counted.0,
        counted.1.allocations / EVENTS,
        counted.1.bytes / EVENTS,
    );
    counted
}

fn assert_close(what: &str, small: usize, large: usize) {
    assert!(large.abs_diff(small) * 50 <= small, "{what}: {small} and {large}");
}

#[test]
fn an_event_costs_one_message_and_as_many_allocations_in_a_cluster_ten_times_as_large() {
    let wanted = Tally { ipvs: EVENTS, added: EVENTS / 2, deleted: EVENTS / 2, ..Tally::default() };
    let (tally, small) = come_and_go(1000, false);
    assert_eq!(tally, wanted);
    let (tally, large) = come_and_go(10_000, false);
    assert_eq!(tally, wanted);
    assert_close("allocations", small.allocations, large.allocations);
    assert_close("bytes", small.bytes, large.bytes);
    assert!(large.allocations <= ALLOCATIONS * EVENTS, "{large:?}");
    assert!(large.bytes <= BYTES * EVENTS, "{large:?}");
}

#[test]
fn an_endpoint_on_this_node_is_one_ipset_element_more() {
    let (tally, _) = come_and_go(1000, true);
    let half = EVENTS / 2;
    let servers = Tally { ipvs: EVENTS, added: half, deleted: half, ..Tally::default() };
    assert_eq!(tally, Tally { ipset: EVENTS, elements: EVENTS, ..servers });
}

#[test]
fn readiness_that_changes_is_one_message() {
    let cluster = Cluster::synthetic(100, 10, 1);
    let daemon = Daemon::start(&cluster, "trimtab: {drainTimeout: 0s}");
    let mut churn = Churn::new(&cluster);
    let (tally, _) = daemon.send_all([churn.toggle(7, 3)]);
    assert_eq!(tally, Tally { ipvs: 1, deleted: 1, ..Tally::default() });
    assert_eq!(
        daemon.kernel.inside().batch.operation(0).unwrap().to_string(),
        "delete real server 10.128.0.73:8080 of TCP 10.96.1.7:80"
    );
    let (tally, _) = daemon.send_all([churn.toggle(7, 3)]);
    assert_eq!(tally, Tally { ipvs: 1, added: 1, ..Tally::default() });
}

#[test]
fn a_slice_that_says_the_same_again_is_no_message() {
    let cluster = Cluster::synthetic(100, 10, 1);
    let daemon = Daemon::start(&cluster, "");
    let mut churn = Churn::new(&cluster);
    churn.toggle(7, 3);
    let same = churn.toggle(7, 3);
    let (tally, _) = daemon.send_all([same]);
    assert_eq!(tally, Tally::default());
}
