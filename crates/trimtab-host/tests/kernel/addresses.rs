//! The node's addresses, and word of their changes.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use trimtab_core::DUMMY_INTERFACE;
use trimtab_host::address::{self, Scope};
use trimtab_host::local_route::{self, LocalRoute};
use trimtab_host::route_monitor::{RouteChanges, RouteMonitor};
use trimtab_host::{VipBinding, dummy};
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

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_addresses_of_one_interface_are_listed_alone() {
    isolated(|| {
        run(ETH0);
        run("ip addr add 192.0.2.10/24 dev eth0 && ip addr add fd00:10::10/64 dev eth0 nodad");
        let mut socket = Socket::open(Family::Route).unwrap();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        dummy.add(&mut socket, &many()).unwrap();
        let eth0 = index("eth0");
        let mut listed = || -> Vec<String> {
            let found = address::list_of(&mut socket, eth0).unwrap();
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(listed(), ["eth0=192.0.2.10/24", "eth0=fd00:10::10/64"]);
        run("ip addr flush dev eth0");
        assert_eq!(listed(), [""; 0]);
        run("ip link del eth0");
        assert_eq!(listed(), [""; 0]);
    });
}

/// What is reported next; a busy machine may take long.
async fn changed(monitor: &mut RouteMonitor) -> RouteChanges {
    let changes = tokio::time::timeout(Duration::from_secs(60), monitor.changed()).await;
    changes.expect("no change within a minute")
}

/// Whether no change is reported within a second.
async fn unchanged(monitor: &mut RouteMonitor) -> bool {
    tokio::time::timeout(Duration::from_secs(1), monitor.changed()).await.is_err()
}

/// All that is reported until a second passes without a change.
async fn all_changes(monitor: &mut RouteMonitor) -> RouteChanges {
    let mut all = changed(monitor).await;
    while let Ok(more) = tokio::time::timeout(Duration::from_secs(1), monitor.changed()).await {
        all.addresses.extend(more.addresses);
        all.all_addresses |= more.all_addresses;
        all.interface |= more.interface;
        all.unbound.extend(more.unbound);
    }
    all
}

fn addresses_of(interface: &str) -> RouteChanges {
    RouteChanges { addresses: [index(interface)].into(), ..RouteChanges::default() }
}

/// The number of an interface.
fn index(interface: &str) -> u32 {
    let line = run(&format!("ip -o link show dev {interface}"));
    line.split(':').next().unwrap().parse().unwrap()
}

fn interface() -> RouteChanges {
    RouteChanges { interface: true, ..RouteChanges::default() }
}

fn unbound(vips: &[IpAddr]) -> RouteChanges {
    RouteChanges { unbound: vips.to_vec(), ..RouteChanges::default() }
}

/// A link that is given no address but those of the test: the kernel would add one of its own, some
/// time after the link is up. In one request it would be up before its mode is set.
const ETH0: &str =
    "ip link add eth0 type dummy && ip link set eth0 addrgenmode none && ip link set eth0 up";

/// A thousand addresses.
fn many() -> Vec<IpAddr> {
    (0..1000u32).map(|n| Ipv4Addr::from_bits(0x0a60_0000 + n).into()).collect()
}

fn with_runtime(body: impl AsyncFnOnce()) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn changes_of_others_are_reported_and_vips_that_we_bind_are_not() {
    isolated(|| {
        run(ETH0);
        let mut socket = Socket::open(Family::Route).unwrap();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        with_runtime(async move || {
            let by = VipBinding::Address;
            let mut monitor = RouteMonitor::subscribe(dummy.index(), by).unwrap();
            assert!(unchanged(&mut monitor).await);
            let vips: [IpAddr; 2] = ["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()];
            dummy.add(&mut socket, &vips).unwrap();
            assert!(unchanged(&mut monitor).await);
            for command in [
                "ip addr add 192.0.2.10/24 dev eth0",
                "ip addr add fd00:10::10/64 dev eth0 nodad",
                "ip addr del 192.0.2.10/24 dev eth0",
            ] {
                run(command);
                assert_eq!(changed(&mut monitor).await, addresses_of("eth0"), "{command}");
            }
            run("ip link set eth0 mtu 1400 && ip link add eth1 type dummy");
            assert!(unchanged(&mut monitor).await, "other interfaces are of no interest");
            for number in 0..100 {
                run(&format!("ip addr add 192.0.2.{number}/32 dev eth0"));
            }
            assert_eq!(changed(&mut monitor).await, addresses_of("eth0"));
            assert!(unchanged(&mut monitor).await, "a burst is one change");
            run("ip addr del 10.96.0.1/32 dev kube-ipvs0");
            assert_eq!(changed(&mut monitor).await, unbound(&vips[..1]));
            run("ip addr del fd00:96::1/128 dev kube-ipvs0");
            assert_eq!(changed(&mut monitor).await, unbound(&vips[1..]));
        });
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn whatever_becomes_of_the_dummy_interface_is_reported_and_it_can_be_had_back() {
    isolated(|| {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        with_runtime(async move || {
            let by = VipBinding::Address;
            let mut monitor = RouteMonitor::subscribe(dummy.index(), by).unwrap();
            let vip: IpAddr = "10.96.0.1".parse().unwrap();
            dummy.add(&mut socket, &[vip]).unwrap();
            run("ip link set kube-ipvs0 name another0");
            assert!(all_changes(&mut monitor).await.interface);
            let same = dummy::restore(&mut socket, DUMMY_INTERFACE, dummy).unwrap();
            assert_eq!(same, dummy, "it got its name back");
            assert_eq!(all_changes(&mut monitor).await, interface());
            assert!(run("ip -br addr show dev kube-ipvs0").contains("10.96.0.1"));
            run("ip link del kube-ipvs0");
            let all = all_changes(&mut monitor).await;
            assert_eq!((all.interface, all.unbound), (true, vec![vip]));
            let other = dummy::restore(&mut socket, DUMMY_INTERFACE, dummy).unwrap();
            assert_ne!(other, dummy);
            dummy = other;
            monitor.follow(dummy.index()).unwrap();
            dummy.add(&mut socket, &[vip]).unwrap();
            assert!(unchanged(&mut monitor).await, "our own binding on the new one is no change");
            run("ip addr del 10.96.0.1/32 dev kube-ipvs0");
            assert_eq!(changed(&mut monitor).await, unbound(&[vip]));
        });
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn where_routes_bind_vips_their_deletion_is_reported_and_that_of_addresses_is_not() {
    isolated(|| {
        run("ip link set lo up");
        let mut socket = Socket::open(Family::Route).unwrap();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        with_runtime(async move || {
            let by = VipBinding::Route;
            let mut monitor = RouteMonitor::subscribe(dummy.index(), by).unwrap();
            let vips: [IpAddr; 2] = ["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()];
            dummy.add(&mut socket, &vips).unwrap();
            dummy.delete(&mut socket, &vips).unwrap();
            let routes = vips.map(|vip| LocalRoute { vip, source: None });
            assert!(local_route::add(&mut socket, &routes).unwrap().failed.is_empty());
            run("ip route add 198.51.100.0/24 dev lo && ip route del 198.51.100.0/24 dev lo");
            assert!(unchanged(&mut monitor).await);
            for (family, vip) in [("-4", vips[0]), ("-6", vips[1])] {
                run(&format!("ip {family} route del local {vip} dev lo table local proto 116"));
                assert_eq!(changed(&mut monitor).await, unbound(&[vip]));
            }
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
            let by = VipBinding::Address;
            let mut monitor = RouteMonitor::with_receive_buffer(ours.index(), by, 4096).unwrap();
            let many = many();
            ours.add(&mut socket, &many).unwrap();
            assert!(unchanged(&mut monitor).await, "VIPs that come take no room");
            other.add(&mut socket, &many).unwrap();
            let all = all_changes(&mut monitor).await;
            assert!(all.all_addresses && all.interface, "what was dropped may have been anything");
            run("ip addr add 192.0.2.10/24 dev eth0");
            assert_eq!(changed(&mut monitor).await, addresses_of("eth0"));
        });
    });
}
