//! The dummy interface.

use std::net::IpAddr;

use trimtab_core::DUMMY_INTERFACE;
use trimtab_host::{Error, dummy};
use trimtab_netlink::{Family, Socket};

use crate::namespace::{isolated, json, run};

fn socket() -> Socket {
    Socket::open(Family::Route).unwrap()
}

/// The addresses of the dummy interface as `ip` prints them, with the length of their prefix.
fn bound() -> Vec<String> {
    let mut all: Vec<_> = json(&format!("ip -j addr show dev {DUMMY_INTERFACE}"))[0]["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .map(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]))
        .collect();
    all.sort();
    all
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_interface_is_made_once_as_a_dummy_that_is_down() {
    isolated(|| {
        let mut socket = socket();
        assert_eq!(dummy::find(&mut socket, DUMMY_INTERFACE).unwrap(), None);
        let made = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        assert_eq!(dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap(), made);
        let link = &json(&format!("ip -j -d link show dev {DUMMY_INTERFACE}"))[0];
        assert_eq!(link["linkinfo"]["info_kind"], "dummy");
        assert_eq!(link["ifindex"], made.index());
        let flags = link["flags"].as_array().unwrap();
        assert!(!flags.contains(&"UP".into()), "{link}");
        made.destroy(&mut socket, DUMMY_INTERFACE).unwrap();
        made.destroy(&mut socket, DUMMY_INTERFACE).unwrap();
        assert_eq!(dummy::find(&mut socket, DUMMY_INTERFACE).unwrap(), None);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn an_interface_of_another_kind_is_named_and_left_alone() {
    isolated(|| {
        run(&format!("ip link add {DUMMY_INTERFACE} type bridge"));
        let error = dummy::ensure(&mut socket(), DUMMY_INTERFACE).unwrap_err();
        assert!(matches!(error, Error::NotDummy { .. }), "{error}");
        assert!(error.to_string().contains("kube-ipvs0 is bridge interface"), "{error}");
        run(&format!("ip -d link show {DUMMY_INTERFACE} | grep -q bridge"));
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn addresses_come_and_go_and_repeating_either_is_no_failure() {
    isolated(|| {
        let mut socket = socket();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        let addresses = ips(&["10.96.0.1", "10.96.0.10", "fd00:96::1", "fd00:96::a"]);
        for _ in 0..2 {
            let applied = dummy.add(&mut socket, &addresses).unwrap();
            assert!(applied.is_success(), "{applied:?}");
            assert_eq!((applied.messages, applied.sends), (4, 1));
            assert_eq!(
                bound(),
                ["10.96.0.1/32", "10.96.0.10/32", "fd00:96::1/128", "fd00:96::a/128"]
            );
        }
        let mut listed = dummy.addresses(&mut socket).unwrap();
        listed.sort();
        assert_eq!(listed, addresses);
        // Nobody asks whether the IPv6 ones are taken, and they are usable at once.
        let tentative = run(&format!("ip addr show dev {DUMMY_INTERFACE} tentative"));
        assert_eq!(tentative.trim(), "");
        for _ in 0..2 {
            let applied = dummy.delete(&mut socket, &addresses[..3]).unwrap();
            assert!(applied.is_success(), "{applied:?}");
            assert_eq!(bound(), ["fd00:96::a/128"]);
        }
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_refused_address_is_named_and_does_not_stop_the_others() {
    isolated(|| {
        let mut socket = socket();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        // No interface can have a multicast address of its own.
        let addresses = ips(&["fd00:96::1", "ff02::1", "10.96.0.1"]);
        let applied = dummy.add(&mut socket, &addresses).unwrap();
        assert_eq!(applied.failed.len(), 1);
        assert_eq!(applied.failed[0].index, 1);
        assert!(applied.failed[0].error.to_string().contains("ff02::1"));
        assert_eq!(bound(), ["10.96.0.1/32", "fd00:96::1/128"]);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn changes_on_an_interface_that_went_away_fail_as_not_found() {
    isolated(|| {
        let mut socket = socket();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        run(&format!("ip link delete {DUMMY_INTERFACE}"));
        let applied = dummy.add(&mut socket, &ips(&["10.96.0.1", "fd00:96::1"])).unwrap();
        assert_eq!(applied.failed.len(), 2);
        assert!(applied.failed.iter().all(|failed| failed.error.is_not_found()));
        assert!(
            dummy.addresses(&mut socket).is_err()
                || dummy.addresses(&mut socket).unwrap().is_empty()
        );
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn two_thousand_addresses_take_one_system_call_each_way() {
    isolated(|| {
        let mut socket = socket();
        let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
        let addresses: Vec<IpAddr> = (0..2000u16)
            .map(|number| IpAddr::from([10, 96, number.to_be_bytes()[0], number.to_be_bytes()[1]]))
            .collect();
        let added = dummy.add(&mut socket, &addresses).unwrap();
        assert!(added.is_success());
        // 32 bytes a message, 64 KiB a call.
        assert_eq!((added.messages, added.sends, added.bytes), (2000, 1, 2000 * 32));
        assert_eq!(bound().len(), 2000);
        assert_eq!(dummy.addresses(&mut socket).unwrap().len(), 2000);
        let deleted = dummy.delete(&mut socket, &addresses).unwrap();
        assert!(deleted.is_success());
        assert_eq!((deleted.messages, deleted.sends), (2000, 1));
        assert_eq!(bound(), [""; 0]);
    });
}
