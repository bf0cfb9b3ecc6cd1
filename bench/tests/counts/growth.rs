//! Memory that many changes leave behind.

use std::time::Duration;

use test_api::Cluster;

use crate::churn::Churn;
use crate::daemon::Daemon;
use crate::heap::{Heap, resident};

const SERVICES: usize = 1000;
const WARM_UP: usize = 20_000;
const EVENTS: usize = 100_000;
/// A byte an event: maps may come out larger by chance, and names of nodes are forgotten many at
/// a time.
const SLACK: isize = 96 << 10;
/// The allocator's own, and the test's.
const RESIDENT_SLACK: usize = 1 << 20;

/// Sends at least `count` events of every kind, and waits until nothing drains any more.
fn send(daemon: &Daemon, churn: &mut Churn, count: usize) {
    let mut sent = 0;
    for step in 0.. {
        let service = step * 61 % SERVICES;
        let endpoint = step / SERVICES % 10;
        let lines = match step % 10 {
            0..6 => vec![churn.toggle(service, endpoint), churn.toggle(service, endpoint)],
            6 | 7 => vec![churn.replace(service, endpoint)],
            8 => vec![churn.replace_node(service, 0)],
            _ => churn.pass(),
        };
        sent += lines.len();
        daemon.send_all(lines);
        if step % 64 == 0 {
            daemon.wait(Duration::from_millis(100));
        }
        if sent >= count {
            break;
        }
    }
    for _ in 0..3 {
        daemon.wait(Duration::from_secs(6));
    }
}

#[test]
fn nothing_stays_of_100_000_events() {
    let cluster = Cluster::synthetic(SERVICES, 10, 1);
    let daemon = Daemon::start(&cluster, "");
    let mut churn = Churn::new(&cluster);
    send(&daemon, &mut churn, WARM_UP);
    let (before, resident_before) = (Heap::now(), resident());
    let tally = daemon.kernel.tally();
    send(&daemon, &mut churn, EVENTS);
    let tally = daemon.kernel.tally() - tally;
    let (grown, resident) = ((Heap::now() - before).live, resident());
    println!("{tally:?}; heap {grown:+} bytes, resident from {resident_before} to {resident}");
    assert!(tally.ipvs >= EVENTS, "{tally:?}");
    assert!(grown <= SLACK, "{grown} bytes more");
    assert!(resident <= resident_before + RESIDENT_SLACK, "from {resident_before} to {resident}");
}
