//! Counts the messages to the kernel.

use test_api::{Cluster as Synthetic, EndpointChange};
use trimtab_integration::cluster::{Cluster, Proxy, eventually, witness};
use trimtab_integration::topology::{Layout, NodeLayout};

const MESSAGES: &str = "trimtab_netlink_messages_total";

fn messages(proxy: &Proxy, what: &str) -> u64 {
    proxy.count(MESSAGES, what).unwrap()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn one_endpoint_more_in_one_of_1000_services_is_one_ipvs_message() {
    let layout =
        Layout { nodes: vec![NodeLayout { pods: 0, ..NodeLayout::default() }], clients: 0 };
    let cluster = Cluster::start(&layout).unwrap();
    cluster.api.load(&Synthetic::synthetic(1000, 3, 7));
    let proxy = cluster.proxy(1).start().unwrap();
    let namespace = cluster.topology.node(1).namespace().clone();
    let before = messages(&proxy, "ipvs");
    assert_eq!(before, 1000 * (1 + 3), "a message for each virtual server and real server");
    let others = messages(&proxy, "ipset") + messages(&proxy, "route");
    let (slice, _) = Synthetic::slice(500, 0);
    let address = [10, 99, 0, 1].into();
    cluster
        .api
        .change_endpoint(&slice, &EndpointChange::Add { address, node: "elsewhere".to_owned() })
        .unwrap();
    eventually("the real server", || {
        let lines = witness::ipvsadm(&namespace)?;
        Ok(lines.iter().any(|line| line.contains("-r 10.99.0.1:")).then_some(()))
    })
    .unwrap();
    assert_eq!(messages(&proxy, "ipvs"), before + 1);
    assert_eq!(messages(&proxy, "ipset") + messages(&proxy, "route"), others);
}
