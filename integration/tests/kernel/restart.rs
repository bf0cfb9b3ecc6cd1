//! Ends and starts of the program, under traffic.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, witness};
use trimtab_integration::topology::Layout;

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_crash_and_a_new_start_lose_no_request_and_write_nothing() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 1)])).unwrap();
    let _servers = [(1, 1), (2, 1)]
        .map(|(node, pod)| cluster.topology.pod(node, pod).serve(&Protocol::ALL, 8080).unwrap());
    let first = cluster.proxy(1).start().unwrap();
    let namespace = cluster.topology.node(1).namespace();
    let state = witness::ipvsadm(namespace).unwrap();

    let stop = AtomicBool::new(false);
    let asked = AtomicU32::new(0);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for protocol in Protocol::ALL {
                    let answer = cluster.topology.pod(1, 2).ask(protocol, web.at_v4(80));
                    assert!(answer.is_ok(), "{protocol}: {answer:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let wait_for = |more: u32| {
            let goal = asked.load(Ordering::Relaxed) + more;
            while asked.load(Ordering::Relaxed) < goal && !client.is_finished() {
                thread::yield_now();
            }
        };
        wait_for(9);
        first.kill().unwrap();
        wait_for(9);
        let second = cluster.proxy(1).start().unwrap();
        wait_for(9);
        stop.store(true, Ordering::Relaxed);
        for what in ["ipvs", "ipset", "route"] {
            let messages = second.count("trimtab_netlink_messages_total", what).unwrap();
            assert_eq!(messages, 0, "{what}");
        }
        assert!(!second.log().contains("packet-filter rules"), "{}", second.log());
        let (status, log) = second.terminate().unwrap();
        assert!(status.success(), "{log}");
    });
    assert!(asked.load(Ordering::Relaxed) >= 27);
    assert_eq!(witness::ipvsadm(namespace).unwrap(), state, "it leaves the kernel as it is");
    assert!(cluster.topology.pod(1, 2).ask(Protocol::Tcp, web.at_v4(80)).is_ok());
}
