//! Tables that change while they are read.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use trimtab_core::Frontend;
use trimtab_ipvs::Batch;

use crate::namespace::{apply, client, isolated, masqueraded, numbered, run};

/// Virtual servers that stay.
const KEPT: u32 = 3000;
/// How often the table is read while it changes, at least.
const READS: usize = 12;
/// How long the changes come faster than the table can be read, in batches.
const HASTE: u32 = 50;

/// Does a batch made of each number in turn until `done`, ever more slowly; how many those were.
fn keep_changing(done: &AtomicBool, mut change: impl FnMut(&mut Batch, u32)) -> u32 {
    let mut client = client();
    let mut batch = Batch::new();
    for round in 0..10_000 {
        if done.load(Ordering::Relaxed) {
            return round;
        }
        batch.clear();
        change(&mut batch, round);
        apply(&mut client, &mut batch);
        // However slow this machine is, there comes a pause in which all can be read.
        thread::sleep(Duration::from_millis(round.saturating_sub(HASTE).min(1000).into()));
    }
    panic!("the reader does not come to an end")
}

/// Ends the changes, also where an assertion ends the test.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn frontends(numbers: std::ops::Range<u32>) -> HashSet<Frontend> {
    numbers.map(|number| numbered(number).frontend).collect()
}

fn keep() {
    let mut batch = Batch::new();
    (0..KEPT).for_each(|number| {
        batch.add_virtual_server(&numbered(number));
    });
    apply(&mut client(), &mut batch);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_dump_while_others_are_added_has_every_entry_once_or_says_that_it_may_not() {
    isolated(|| {
        keep();
        let done = AtomicBool::new(false);
        let rounds = thread::scope(|scope| {
            // Ten at a time, wherever in the table they come to be.
            let writer = scope.spawn(|| {
                keep_changing(&done, |batch, round| {
                    let first = KEPT + round * 10;
                    for number in first..first + 10 {
                        batch.add_virtual_server(&numbered(number));
                    }
                })
            });
            let stop = Stop(&done);
            let mut client = client();
            let kept = frontends(0..KEPT);
            let mut whole = 0;
            for reads in 0.. {
                if reads >= READS && whole > 0 {
                    break;
                }
                assert!(reads < 20 * READS, "not one of {reads} reads was undisturbed");
                let listing = client.virtual_servers().unwrap();
                let listed: HashSet<_> =
                    listing.entries.iter().map(|observed| observed.server.frontend).collect();
                assert_eq!(listed.len(), listing.entries.len(), "an entry is listed twice");
                if !listing.disturbed {
                    assert_eq!(kept.difference(&listed).count(), 0, "entries are missing");
                    whole += 1;
                }
            }
            drop(stop);
            writer.join().unwrap()
        });
        assert!(rounds > 0, "nothing changed");
        let total = KEPT + rounds * 10;
        assert_eq!(run("ipvsadm -Sn | grep -c ^-A").trim(), total.to_string());
        let listing = client().virtual_servers().unwrap();
        let listed: HashSet<_> = listing.into_iter().map(|o| o.server.frontend).collect();
        assert_eq!(listed, frontends(0..total));
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_dump_while_others_come_and_go_lists_nothing_twice_and_nothing_strange() {
    isolated(|| {
        keep();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                keep_changing(&done, |batch, round| {
                    for number in KEPT..KEPT + 50 {
                        if round % 2 == 0 {
                            batch.add_virtual_server(&numbered(number));
                        } else {
                            batch.delete_virtual_server(&numbered(number).frontend);
                        }
                    }
                })
            });
            let stop = Stop(&done);
            let mut client = client();
            let possible = frontends(0..KEPT + 50);
            for _ in 0..READS {
                let listing = client.virtual_servers().unwrap();
                let listed: HashSet<_> =
                    listing.entries.iter().map(|observed| observed.server.frontend).collect();
                assert_eq!(listed.len(), listing.entries.len(), "an entry is listed twice");
                assert!(listed.is_subset(&possible));
            }
            drop(stop);
            assert!(writer.join().unwrap() > 0, "nothing changed");
        });
        let listed: HashSet<_> =
            client().virtual_servers().unwrap().into_iter().map(|o| o.server.frontend).collect();
        assert!(frontends(0..KEPT).is_subset(&listed));
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn real_servers_read_while_others_are_added_are_all_there_once() {
    isolated(|| {
        let frontend = numbered(1).frontend;
        let pod = |number: u32| {
            let [_, high, middle, low] = number.to_be_bytes();
            masqueraded(&format!("10.{}.{middle}.{low}", 128 + high), 8080)
        };
        let mut batch = Batch::new();
        batch.add_virtual_server(&numbered(1));
        (0..1000).for_each(|number| {
            batch.add_real_server(&frontend, &pod(number));
        });
        apply(&mut client(), &mut batch);
        let done = AtomicBool::new(false);
        let rounds = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                keep_changing(&done, |batch, round| {
                    for number in 0..5 {
                        batch.add_real_server(&frontend, &pod(1000 + round * 5 + number));
                    }
                })
            });
            let stop = Stop(&done);
            let mut client = client();
            for _ in 0..READS {
                let listing = client.real_servers(&frontend).unwrap();
                let listed: HashSet<_> =
                    listing.entries.iter().map(|observed| observed.server.key).collect();
                assert_eq!(listed.len(), listing.entries.len(), "an entry is listed twice");
                assert!((0..1000).all(|number| listed.contains(&pod(number).key)));
            }
            drop(stop);
            writer.join().unwrap()
        });
        assert!(rounds > 0, "nothing changed");
        let total = (1000 + rounds * 5).to_string();
        assert_eq!(run("ipvsadm -Sn | grep -c ^-a").trim(), total);
    });
}
