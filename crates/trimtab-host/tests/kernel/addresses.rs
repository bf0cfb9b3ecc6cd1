//! The node's addresses, and word of their changes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use trimtab_core::DUMMY_INTERFACE;
use trimtab_host::address::{self, Scope};
use trimtab_host::address_monitor::AddressMonitor;
use trimtab_host::dummy;
use trimtab_netlink::{Family, Socket};

use crate::namespace::{isolated, run};

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn all_addresses_are_listed_with_interface_and_scope() {
    isolated(|| {
        let mut socket = Socket::open(Family::Route).unwrap();
        run("ip link add eth0 type dummy && ip link set eth0 up");
        run("ip addr add 192.0.2.10/24 dev eth0 && ip addr add 192.0.2.11/24 dev eth0");
        run("ip addr add fd00:10::10/64 dev eth0 nodad");
        run("ip link add ppp0 type dummy && ip addr add 198.51.100.1 peer 198.51.100.2 dev ppp0");
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        dummy.add(&mut socket, &["10.96.0.1".parse().unwrap()]).unwrap();

        let all = address::list(&mut socket).unwrap();
        let find = |text: &str| {
            all.iter().find(|a| a.to_string() == text).unwrap_or_else(|| panic!("{text}: {all:?}"))
        };
        assert!(find("lo=127.0.0.1/8").is_loopback() && find("lo=::1/128").is_loopback());
        assert_eq!(find("lo=127.0.0.1/8").scope, Scope::Host);
        assert!(!find("eth0=192.0.2.10/24").is_secondary());
        assert!(find("eth0=192.0.2.11/24").is_secondary());
        assert_eq!(find("eth0=fd00:10::10/64").scope, Scope::Universe);
        assert!(!find("eth0=fd00:10::10/64").is_tentative());
        let link_local = all.iter().find(|a| &*a.interface == "eth0" && a.is_link_local()).unwrap();
        assert_eq!(link_local.scope, Scope::Link);
        // Our side of a point-to-point link.
        find("ppp0=198.51.100.1/32");
        assert_eq!(find("kube-ipvs0=10.96.0.1/32").index, dummy.index());
        let others = all.iter().filter(|a| a.index != dummy.index()).count();
        assert_eq!(others, all.len() - 1);
    });
}

/// Whether a change is reported; a busy machine may take long.
async fn changed(monitor: &mut AddressMonitor) -> bool {
    tokio::time::timeout(Duration::from_secs(60), monitor.changed()).await.is_ok()
}

/// Whether no change is reported within a second.
async fn unchanged(monitor: &mut AddressMonitor) -> bool {
    tokio::time::timeout(Duration::from_secs(1), monitor.changed()).await.is_err()
}

/// A link that is given no address but those of the test: the kernel would add one of its own, some
/// time after the link is up.
const ETH0: &str = "ip link add eth0 type dummy && ip link set eth0 addrgenmode none up";

/// A thousand addresses.
fn many() -> Vec<IpAddr> {
    (0..1000u32).map(|n| Ipv4Addr::from_bits(0x0a60_0000 + n).into()).collect()
}

fn with_runtime(body: impl AsyncFnOnce()) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn changes_are_reported_once_a_burst_and_our_own_interface_is_passed_over() {
    isolated(|| {
        run(ETH0);
        let mut socket = Socket::open(Family::Route).unwrap();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        with_runtime(async move || {
            let mut monitor = AddressMonitor::subscribe(dummy.index()).unwrap();
            assert!(unchanged(&mut monitor).await);
            let vips = ["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()];
            dummy.add(&mut socket, &vips).unwrap();
            dummy.delete(&mut socket, &vips).unwrap();
            assert!(unchanged(&mut monitor).await);
            for command in [
                "ip addr add 192.0.2.10/24 dev eth0",
                "ip addr add fd00:10::10/64 dev eth0 nodad",
                "ip addr del 192.0.2.10/24 dev eth0",
            ] {
                run(command);
                assert!(changed(&mut monitor).await, "{command}");
            }
            for number in 0..100 {
                run(&format!("ip addr add 192.0.2.{number}/32 dev eth0"));
            }
            assert!(changed(&mut monitor).await);
            assert!(unchanged(&mut monitor).await, "a burst is one change");
        });
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn events_that_the_kernel_had_to_drop_count_as_a_change_and_the_next_ones_arrive() {
    isolated(|| {
        run(ETH0);
        let mut socket = Socket::open(Family::Route).unwrap();
        let ours = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        let other = dummy::ensure(&mut socket, "other").unwrap();
        with_runtime(async move || {
            // Room for a handful of events.
            let mut monitor = AddressMonitor::with_receive_buffer(ours.index(), 4096).unwrap();
            let many = many();
            ours.add(&mut socket, &many).unwrap();
            assert!(unchanged(&mut monitor).await, "those of our own interface take no room");
            ours.delete(&mut socket, &many).unwrap();
            other.add(&mut socket, &many).unwrap();
            assert!(changed(&mut monitor).await, "what was dropped may have been a change");
            while !unchanged(&mut monitor).await {}
            run("ip addr add 192.0.2.10/24 dev eth0");
            assert!(changed(&mut monitor).await);
        });
    });
}
