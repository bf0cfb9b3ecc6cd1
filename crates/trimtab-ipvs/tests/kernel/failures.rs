//! Refusals, matched to what was asked.

use std::collections::BTreeMap;

use trimtab_core::{RealServer, Scheduler, VirtualServer};
use trimtab_ipvs::{Batch, Operation};

use crate::namespace::{client, isolated, masqueraded, numbered, run, tcp};

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// Operations on virtual server `number`, with the error number of those that must fail.
fn story(number: u32) -> Vec<(Operation, Option<i32>)> {
    let server = numbered(number);
    let frontend = server.frontend;
    let pod = masqueraded("10.244.0.5", 8080);
    let add = Operation::AddRealServer;
    let good = vec![
        (Operation::AddVirtualServer(server.clone()), None),
        (add(frontend, pod), None),
        (Operation::SetRealServer(frontend, RealServer { weight: 2, ..pod }), None),
    ];
    let bad = match number % 7 {
        0 => (Operation::AddVirtualServer(server), EEXIST),
        1 => (add(frontend, pod), EEXIST),
        2 => (add(frontend, masqueraded("224.0.0.1", 80)), EINVAL),
        3 => (add(frontend, RealServer { weight: 1 << 31, ..masqueraded("10.0.0.9", 1) }), ERANGE),
        4 => {
            let missing = masqueraded("10.244.0.6", 8080).key;
            (Operation::DeleteRealServer(frontend, missing), ENOENT)
        }
        5 => (Operation::DeleteVirtualServer(tcp("10.95.0.1", 80)), ESRCH),
        _ => return good,
    };
    let mut story = good;
    // In the middle of what goes well.
    story.insert(2, (bad.0, Some(bad.1)));
    story
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn every_refusal_in_a_large_batch_is_named_by_its_index_and_stops_nothing() {
    isolated(|| {
        let stories: Vec<_> = (0..3000).flat_map(story).collect();
        let mut batch = Batch::new();
        for (operation, _) in &stories {
            batch.push(operation);
        }
        let report = client().apply(&mut batch).unwrap();
        assert!(report.sends > 10 && report.sends < 50, "{} pieces", report.sends);
        assert_eq!(report.unconfirmed, []);
        let expected: BTreeMap<usize, i32> = stories
            .iter()
            .enumerate()
            .filter_map(|(index, (_, errno))| Some((index, (*errno)?)))
            .collect();
        let refused: BTreeMap<usize, i32> =
            report.failures.iter().map(|f| (f.index, f.refusal.errno.0)).collect();
        assert_eq!(refused, expected);
        assert_eq!(report.failures.len(), expected.len());
        for failure in &report.failures {
            let errno = failure.refusal.errno;
            assert_eq!(errno.is_exists(), errno.0 == EEXIST);
            assert_eq!(errno.is_not_found(), matches!(errno.0, ENOENT | ESRCH));
            let (operation, _) = &stories[failure.index];
            assert!(batch.explain(failure).starts_with(&format!("cannot {operation}: ")));
        }
        assert_eq!(run("ipvsadm -Sn | grep -c ^-A").trim(), "3000");
        assert_eq!(run("ipvsadm -Sn | grep -c -- '-r 10.244.0.5:8080 -m -w 2'").trim(), "3000");
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_refusal_says_what_the_kernel_meant() {
    isolated(|| {
        let there = numbered(1);
        let gone = tcp("10.96.0.2", 80);
        let pod = masqueraded("10.244.0.5", 8080);
        let mut batch = Batch::new();
        batch.add_virtual_server(&there);
        let mut expected = BTreeMap::new();
        let unknown: Scheduler = "nosuch".parse().unwrap();
        let index = batch.add_virtual_server(&VirtualServer::new(gone, unknown));
        expected.insert(index, "this kernel has no scheduler nosuch (module ip_vs_nosuch)");
        expected.insert(batch.add_virtual_server(&there), "the virtual server already exists");
        expected.insert(batch.add_real_server(&gone, &pod), "the virtual server does not exist");
        expected.insert(batch.delete_virtual_server(&gone), "the virtual server does not exist");
        expected.insert(
            batch.delete_real_server(&there.frontend, &pod.key),
            "the real server does not exist",
        );
        let heavy = RealServer { weight: u32::MAX, ..pod };
        expected.insert(
            batch.add_real_server(&there.frontend, &heavy),
            "the weight is greater than 2147483647, or the lower threshold is above the upper one",
        );
        // Two families without a tunnel.
        let six = masqueraded("fd00:244::5", 8080);
        expected.insert(
            batch.add_real_server(&there.frontend, &six),
            "the address is not unicast, or of the other family without a tunnel, or a GUE tunnel \
             has no port, or this network namespace has no address up",
        );
        let report = client().apply(&mut batch).unwrap();
        let said: BTreeMap<usize, String> =
            report.failures.iter().map(|f| (f.index, batch.explain(f))).collect();
        assert_eq!(said.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (index, meant) in expected {
            assert!(said[&index].ends_with(&format!(": {meant}")), "{}", said[&index]);
        }
        assert!(said[&1].contains("add virtual server TCP 10.96.0.2:80 nosuch: No such file"));
        assert_eq!(run("ipvsadm -Sn"), "-A -t 10.96.0.1:80 -s rr\n");
    });
}
