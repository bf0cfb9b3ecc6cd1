//! VIPs bound by routes.

use std::net::IpAddr;

use trimtab_core::DUMMY_INTERFACE;
use trimtab_host::dummy;
use trimtab_host::local_route::{self, LocalRoute, PROTOCOL};
use trimtab_netlink::{Family, Socket};

use crate::namespace::{isolated, json, run};

fn node() -> Socket {
    run("ip link add eth0 type dummy && ip link set eth0 up");
    run("ip addr add 192.0.2.10/24 dev eth0 && ip addr add 192.0.2.11/24 dev eth0");
    run("ip addr add fd00:10::10/64 dev eth0 nodad && ip addr add fd00:10::11/64 dev eth0 nodad");
    Socket::open(Family::Route).unwrap()
}

fn route(vip: &str, source: Option<&str>) -> LocalRoute {
    LocalRoute { vip: vip.parse().unwrap(), source: source.map(|ip| ip.parse().unwrap()) }
}

/// Our routes as `ip` prints them: destination and source.
fn routes() -> Vec<String> {
    let mut all = Vec::new();
    for family in ["-4", "-6"] {
        let printed =
            json(&format!("ip -j {family} route show table local type local proto {PROTOCOL}"));
        for route in printed.as_array().unwrap() {
            assert_eq!(route["dev"], "lo");
            let source = route["prefsrc"].as_str().unwrap_or("-");
            all.push(format!("{} {source}", route["dst"].as_str().unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn routes_come_and_go_and_repeating_either_is_no_failure() {
    isolated(|| {
        let mut socket = node();
        assert_eq!(local_route::list(&mut socket).unwrap(), []);
        let wanted = [
            route("10.96.0.1", Some("192.0.2.10")),
            route("10.96.0.2", None),
            route("fd00:96::1", Some("fd00:10::10")),
        ];
        let printed = ["10.96.0.1 192.0.2.10", "10.96.0.2 -", "fd00:96::1 fd00:10::10"];
        for _ in 0..2 {
            let applied = local_route::add(&mut socket, &wanted).unwrap();
            assert!(applied.is_success(), "{applied:?}");
            assert_eq!((applied.messages, applied.sends), (3, 1));
            assert_eq!(routes(), printed);
        }
        let mut listed = local_route::list(&mut socket).unwrap();
        listed.sort();
        assert_eq!(listed, wanted);
        let vips: Vec<IpAddr> = wanted.iter().map(|route| route.vip).collect();
        for _ in 0..2 {
            let applied = local_route::delete(&mut socket, &vips[1..]).unwrap();
            assert!(applied.is_success(), "{applied:?}");
            assert_eq!(routes(), ["10.96.0.1 192.0.2.10"]);
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_route_follows_the_nodes_address() {
    isolated(|| {
        let mut socket = node();
        for (four, six) in [("192.0.2.10", "fd00:10::10"), ("192.0.2.11", "fd00:10::11")] {
            let wanted = [route("10.96.0.1", Some(four)), route("fd00:96::1", Some(six))];
            assert!(local_route::add(&mut socket, &wanted).unwrap().is_success());
            assert_eq!(routes(), [format!("10.96.0.1 {four}"), format!("fd00:96::1 {six}")]);
            assert!(run("ip route get 10.96.0.1").contains(&format!("src {four}")));
            assert!(run("ip route get fd00:96::1").contains(&format!("src {six}")));
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_refused_route_is_named_and_does_not_stop_the_others() {
    isolated(|| {
        let mut socket = node();
        // Not an address of this node.
        let wanted = [route("10.96.0.1", Some("203.0.113.1")), route("10.96.0.2", None)];
        let applied = local_route::add(&mut socket, &wanted).unwrap();
        assert_eq!(applied.failed.len(), 1);
        assert_eq!(applied.failed[0].index, 0);
        assert!(applied.failed[0].error.to_string().contains("10.96.0.1"));
        assert_eq!(routes(), ["10.96.0.2 -"]);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn routes_of_others_are_neither_listed_nor_deleted() {
    isolated(|| {
        let mut socket = node();
        run("ip route add local 10.96.0.1/32 dev lo table local proto 99");
        run("ip route add 10.96.0.2/32 dev lo table main proto 116");
        assert_eq!(local_route::list(&mut socket).unwrap(), []);
        let vips: Vec<IpAddr> =
            ["10.96.0.1", "10.96.0.2", "192.0.2.10"].map(|vip| vip.parse().unwrap()).to_vec();
        let before = run("ip route show table all");
        assert!(local_route::delete(&mut socket, &vips).unwrap().is_success());
        assert_eq!(run("ip route show table all"), before);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_vip_moves_from_address_to_route_and_back_and_is_local_all_the_time() {
    isolated(|| {
        let mut socket = node();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        let vips: Vec<IpAddr> =
            ["10.96.0.1", "fd00:96::1"].map(|vip| vip.parse().unwrap()).to_vec();
        let wanted =
            [route("10.96.0.1", Some("192.0.2.10")), route("fd00:96::1", Some("fd00:10::10"))];
        let local = |vip: &str| run(&format!("ip route get {vip}")).starts_with("local ");
        let both = |step: &str| {
            assert!(local("10.96.0.1") && local("fd00:96::1"), "{step}");
        };
        dummy.add(&mut socket, &vips).unwrap();
        both("addresses");
        assert!(local_route::add(&mut socket, &wanted).unwrap().is_success());
        both("addresses and routes");
        assert!(dummy.delete(&mut socket, &vips).unwrap().is_success());
        both("routes");
        assert!(run("ip route get 10.96.0.1").contains("src 192.0.2.10"));
        assert!(dummy.add(&mut socket, &vips).unwrap().is_success());
        both("routes and addresses");
        assert!(local_route::delete(&mut socket, &vips).unwrap().is_success());
        both("addresses again");
        assert_eq!(dummy.addresses(&mut socket).unwrap().len(), 2);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn twenty_thousand_routes_take_sixteen_system_calls_each_way() {
    isolated(|| {
        let mut socket = node();
        let source = Some("192.0.2.10".parse().unwrap());
        let routes: Vec<_> = (0..20_000u16)
            .map(|n| [10, 96, n.to_be_bytes()[0], n.to_be_bytes()[1]])
            .map(|vip| LocalRoute { vip: vip.into(), source })
            .collect();
        let added = local_route::add(&mut socket, &routes).unwrap();
        assert!(added.is_success());
        // 60 bytes a message, 64 KiB a call.
        assert_eq!((added.messages, added.sends, added.bytes), (20_000, 19, 20_000 * 60));
        let counted = run("ip route show table local proto 116 | wc -l");
        assert_eq!(counted.trim(), "20000");
        assert_eq!(local_route::list(&mut socket).unwrap().len(), 20_000);
        let vips: Vec<IpAddr> = routes.iter().map(|route| route.vip).collect();
        let deleted = local_route::delete(&mut socket, &vips).unwrap();
        assert!(deleted.is_success());
        assert_eq!((deleted.messages, deleted.sends), (20_000, 16));
        assert_eq!(run("ip route show table local proto 116 | wc -l").trim(), "0");
    });
}
