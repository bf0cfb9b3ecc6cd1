//! `trimtab.dev/weight`: how connections are shared out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Host, Layout};

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080).annotation("trimtab.dev/scheduler", "wrr")
}

/// One slice for each pod and family, whose annotation is the pod's weight.
fn slices(weights: [&str; 3]) -> Vec<Value> {
    let pods = [(1, 1), (1, 2), (2, 1)];
    let of_pod = |(pod, weight): ((u8, u8), &str)| {
        let mut slices = web().slices(&[pod]);
        for slice in &mut slices {
            let name =
                format!("{}-{}-{}", slice["metadata"]["name"].as_str().unwrap(), pod.0, pod.1);
            slice["metadata"]["name"] = name.into();
            slice["metadata"]["annotations"] = json!({"trimtab.dev/weight": weight});
        }
        slices
    };
    pods.into_iter().zip(weights).flat_map(of_pod).collect()
}

fn shares(from: &Host, protocol: Protocol, to: SocketAddr, times: u32) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        *shares.entry(from.ask(protocol, to).unwrap().name).or_default() += 1;
    }
    shares
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn weighted_round_robin_shares_connections_out_exactly() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let from = cluster.topology.node(1);
    cluster.apply(&web().service()).unwrap();
    cluster.apply_all(&slices(["3", "2", "1"])).unwrap();
    let _servers = cluster.serve(&[(1, 1), (1, 2), (2, 1)], &Protocol::ALL, 8080).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            let found = shares(from, protocol, web().at(family, 80), 12);
            let expected = [("node1-pod1", 6), ("node1-pod2", 4), ("node2-pod1", 2)];
            let expected = expected.map(|(name, share)| (name.to_owned(), share));
            assert_eq!(found, expected.into(), "{protocol} over {family}");
        }
    }
    // To weight 0 and back: open connections continue. An invalid weight is ignored.
    let to = web().at_v4(80);
    let mut open: Vec<_> = (0..6).map(|_| from.connect(Protocol::Tcp, to).unwrap()).collect();
    let held: Vec<_> = open.iter_mut().map(|open| open.ask().unwrap()).collect();
    cluster.apply_all(&slices(["0", "2", "70000"])).unwrap();
    eventually("the weights", || {
        let lines = witness::ipvsadm(from.namespace())?;
        let count = |end: &str| lines.iter().filter(|line| line.ends_with(end)).count();
        Ok(([count("-w 0"), count("-w 2"), count("-w 1")] == [6; 3]).then_some(()))
    })
    .unwrap();
    assert!(proxy.log().contains("70000"), "it is said");
    let found = shares(from, Protocol::Tcp, to, 6);
    let expected = [("node1-pod2", 4), ("node2-pod1", 2)];
    assert_eq!(found, expected.map(|(name, share)| (name.to_owned(), share)).into());
    for (open, held) in open.iter_mut().zip(held) {
        assert_eq!(open.ask(), Ok(held));
    }
}
