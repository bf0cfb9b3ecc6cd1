//! Many elements, and sets that outgrow their size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use trimtab_core::{Family, SetElement, SetType};
use trimtab_host::ipset::{Change, Client, Ensured, Repeat, SetSpec, apply_growing, ensure};

use crate::ipset::{ip_port, members, spec};
use crate::namespace::{Namespace, isolated, run};

fn small(max_elements: u32) -> SetSpec<'static> {
    SetSpec { max_elements, ..spec("S", SetType::HashIpPort, Family::V4) }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn twenty_thousand_elements_take_thirteen_system_calls_each_way() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client.create(&[small(65536)]).unwrap();
        let add: Vec<_> = (0..20_000).map(|n| Change::add("S", ip_port(n, 80))).collect();
        let applied = client.change(&add, Repeat::Allow).unwrap();
        assert!(applied.is_success());
        // 42 elements a message, 40 bytes each.
        assert_eq!(applied.messages, 20_000usize.div_ceil(42));
        assert!(applied.bytes < 20_000 * 42, "{}", applied.bytes);
        assert_eq!(applied.sends, 13);
        assert_eq!(run("ipset save S | grep -c ^add").trim(), "20000");
        assert_eq!(client.list("S").unwrap().unwrap().elements.len(), 20_000);
        let delete: Vec<_> = (0..20_000).map(|n| Change::delete("S", ip_port(n, 80))).collect();
        let applied = client.change(&delete, Repeat::Refuse).unwrap();
        assert!(applied.is_success());
        assert_eq!(applied.sends, 13);
        assert_eq!(members("S"), [""; 0]);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_full_set_says_so_of_each_element_and_grows_on_demand() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client.create(&[small(100)]).unwrap();
        let add: Vec<_> = (0..150).map(|n| Change::add("S", ip_port(n, 80))).collect();
        let applied = client.change(&add, Repeat::Allow).unwrap();
        let size = members("S").len();
        assert_eq!(applied.failed.len(), 150 - size);
        assert!(applied.failed.iter().all(|failed| failed.error.is_full()));
        run("iptables -A INPUT -m set --match-set S dst,dst -j ACCEPT");
        let grown = apply_growing(&mut client, &add, Repeat::Allow).unwrap();
        assert!(grown.applied.is_success(), "{grown:?}");
        assert_eq!(grown.sets, [("S", 256)]);
        assert_eq!(members("S").len(), 150);
        assert!(run("ipset save S").contains("maxelem 256"));
        assert_eq!(run("ipset list -n"), "S\n");
        // Of elements that are refused for other reasons, the report is the same.
        let mixed = [add[0], Change::add("S", SetElement::Ip("10.0.0.1".parse().unwrap()))];
        let grown = apply_growing(&mut client, &mixed, Repeat::Refuse).unwrap();
        assert!(grown.sets.is_empty());
        assert!(grown.applied.failed[0].error.is_repeat());
        assert_eq!(grown.applied.failed[1].index, 1);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_set_grows_beyond_kube_proxys_65536() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client.create(&[small(65536)]).unwrap();
        let add: Vec<_> = (0..66_000).map(|n| Change::add("S", ip_port(n, 80))).collect();
        let grown = apply_growing(&mut client, &add, Repeat::Allow).unwrap();
        assert!(grown.applied.is_success());
        assert_eq!(grown.sets, [("S", 131_072)]);
        // The kernel's own count: an emulated processor takes long to print them all.
        let shown = run("ipset list -terse S");
        assert!(shown.contains("Number of entries: 66000\n"), "{shown}");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn no_element_is_ever_missing_while_its_set_is_replaced_by_larger_ones() {
    let namespace = Namespace::new("test");
    let done = Arc::new(AtomicBool::new(false));
    let tests = Arc::new(AtomicU32::new(0));
    namespace.run(|| {
        Client::open().unwrap().create(&[small(64)]).unwrap();
        run("ipset add S 10.96.0.0,tcp:80");
    });
    let watcher = namespace.spawn({
        let (done, tests) = (Arc::clone(&done), Arc::clone(&tests));
        move || {
            let mut client = Client::open().unwrap();
            while !done.load(Ordering::Relaxed) {
                assert!(client.test("S", ip_port(0, 80)).unwrap());
                tests.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    namespace.run(move || {
        let mut client = Client::open().unwrap();
        for power in 7..14 {
            let before = tests.load(Ordering::Relaxed);
            let outcome = ensure(&mut client, &[small(1 << power)]).unwrap().remove(0);
            assert_eq!(outcome.unwrap(), Ensured::Grown);
            // On one processor, let the other thread have a look at each size.
            while tests.load(Ordering::Relaxed) < before + 10 {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    watcher.join().unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_a_process_left_half_done_is_no_obstacle() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client.create(&[small(100)]).unwrap();
        run("ipset add S 10.96.0.1,tcp:80");
        run("ipset create KUBE-TRIMTAB-TMP hash:net");
        let outcome = ensure(&mut client, &[small(1000)]).unwrap().remove(0);
        assert_eq!(outcome.unwrap(), Ensured::Grown);
        assert_eq!(members("S"), ["10.96.0.1,tcp:80"]);
        assert_eq!(run("ipset list -n"), "S\n");
    });
}
