//! What an event costs in protobuf and in JSON: a slice in which one endpoint changes.

use test_api::Cluster;

use crate::api::Encoding;
use crate::churn::Churn;
use crate::daemon::Daemon;

const EVENTS: usize = 200;

/// Limits of an event: bytes from the API server, allocations and allocated bytes until the kernel
/// has the change. The measured values plus a tenth.
struct Limits {
    sent: usize,
    allocations: usize,
    allocated: usize,
}

fn measure(endpoints: usize, encoding: Encoding, limits: &Limits) {
    let cluster = Cluster::synthetic(50, endpoints, 1);
    let daemon = Daemon::start_with(&cluster, "trimtab: {drainTimeout: 0s}", encoding);
    let mut churn = Churn::new(&cluster);
    let mut events = || (0..EVENTS).map(|number| churn.toggle(number / 2 % 50, 3)).collect();
    // Maps and buffers reach their size.
    let warm: Vec<_> = events();
    daemon.send_all(warm);
    let events: Vec<_> = events();
    let sent = daemon.length(events[0].clone());
    let (tally, heap) = daemon.send_all(events);
    assert_eq!(tally.ipvs, EVENTS);
    let (allocations, allocated) = (heap.allocations / EVENTS, heap.bytes / EVENTS);
    println!(
        "{encoding:?}, a slice of {endpoints}: {sent} bytes sent, {allocations} allocations, \
         {allocated} bytes allocated"
    );
    assert!(sent <= limits.sent, "{sent} bytes sent");
    assert!(allocations <= limits.allocations, "{allocations} allocations");
    assert!(allocated <= limits.allocated, "{allocated} bytes allocated");
}

#[test]
fn an_event_costs_little_and_in_protobuf_less() {
    let json = Limits { sent: 4110, allocations: 62, allocated: 6870 };
    measure(10, Encoding::Json, &json);
    let protobuf = Limits { sent: 2200, allocations: 61, allocated: 6830 };
    measure(10, Encoding::Protobuf, &protobuf);
    let json = Limits { sent: 29_300, allocations: 164, allocated: 33_000 };
    measure(100, Encoding::Json, &json);
    let protobuf = Limits { sent: 14_300, allocations: 163, allocated: 33_000 };
    measure(100, Encoding::Protobuf, &protobuf);
}
