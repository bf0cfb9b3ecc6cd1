//! The client addresses that a pod sees: hairpin connections and every `detectLocalMode`.

use std::net::IpAddr;

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ProxyBuilder, ServiceSpec};
use trimtab_integration::topology::{Host, Layout, NodeLayout, PodNetwork, address};

use crate::tracer::{Fate, Seen, Tracer};

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).every_protocol(80, 8080)
}

/// Node 1 with its pods attached so, and node 2, whose packets for Services go through node 1.
fn cluster(pod_network: PodNetwork) -> Cluster {
    let first = NodeLayout { pod_network, ..NodeLayout::default() };
    let layout = Layout { nodes: vec![first, NodeLayout::default()], ..Layout::default() };
    let cluster = Cluster::start(&layout).unwrap();
    let topology = &cluster.topology;
    for host in [topology.node(2), topology.client(1)] {
        host.route_services_via(topology.node(1)).unwrap();
    }
    cluster.publish(&web(), &[(1, 1)]).unwrap();
    cluster
}

/// As whom the pod saw a client by every protocol.
fn seen(from: &Host, family: Family) -> IpAddr {
    let asked = Protocol::ALL.map(|protocol| {
        let answer = from.ask(protocol, web().at(family, 80));
        answer.unwrap_or_else(|why| panic!("{} by {protocol}: {why}", from.name())).seen_peer.ip()
    });
    assert!(asked.iter().all(|seen| *seen == asked[0]), "{}: {asked:?}", from.name());
    asked[0]
}

/// Those who ask, besides the pod itself and its node.
fn hosts(cluster: &Cluster) -> [&Host; 4] {
    let topology = &cluster.topology;
    [topology.pod(1, 2), topology.pod(2, 1), topology.node(2), topology.client(1)]
}

/// Asks from everywhere; the names of those that the pod saw under their own addresses.
fn unmasqueraded(cluster: &Cluster) -> Vec<&str> {
    let kept = |host: &&Host| {
        let [four, six] = Family::ALL.map(|family| {
            let seen = seen(host, family);
            let keeps = seen == host.address(family);
            assert!(keeps || seen == address::pod_gateway(1, family), "{}: {seen}", host.name());
            keeps
        });
        assert_eq!(four, six, "{}: both families alike", host.name());
        four
    };
    hosts(cluster).into_iter().filter(kept).map(Host::name).collect()
}

/// Who of all is not masqueraded, as `trimtab trace` says.
fn traced<'a>(cluster: &'a Cluster, proxy: &ProxyBuilder, network: PodNetwork) -> Vec<&'a str> {
    let objects = [vec![web().service()], web().slices(&[(1, 1)])].concat();
    let tracer = Tracer::new(1, network, proxy, &objects);
    let kept = |from: &&Host| {
        let fates = Family::ALL.into_iter().flat_map(|family| {
            let to = web().at(family, 80);
            let fate = |protocol| (family, tracer.fate(from, protocol, to));
            Protocol::ALL.map(fate)
        });
        let keeps: Vec<bool> = fates
            .map(|(family, fate)| {
                let pod = (address::pod(1, 1, family), 8080).into();
                let [own, node] =
                    [Seen::Itself, Seen::ThisNode].map(|it| Fate::Answered(vec![(pod, it)]));
                assert!(fate == own || fate == node, "{}: {fate:?}", from.name());
                fate == own
            })
            .collect();
        assert!(keeps.iter().all(|it| *it == keeps[0]), "{}: {keeps:?}", from.name());
        keeps[0]
    };
    let topology = &cluster.topology;
    let all = [topology.pod(1, 1), topology.node(1)].into_iter().chain(hosts(cluster));
    all.filter(kept).map(Host::name).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_routed_pod_reaches_itself_and_local_pods_are_told_in_every_way() {
    let cluster = cluster(PodNetwork::Routed);
    let _server = cluster.topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    for (config, kept) in [
        ("detectLocalMode: ClusterCIDR", &["node1-pod2", "node2-pod1"][..]),
        ("detectLocalMode: NodeCIDR", &["node1-pod2"]),
        (
            "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}",
            &["node1-pod2"],
        ),
        ("iptables: {masqueradeAll: true}", &[]),
        ("iptables: {masqueradeBit: 15}", &["node1-pod2", "node2-pod1"]),
    ] {
        let builder = cluster.proxy(1).config(config);
        let proxy = builder.start().unwrap();
        assert_eq!(unmasqueraded(&cluster), kept, "{config}");
        assert_eq!(traced(&cluster, &builder, PodNetwork::Routed), kept, "{config}");
        // Its own address as source would be answered inside the pod, past the node.
        for family in Family::ALL {
            let seen = seen(cluster.topology.pod(1, 1), family);
            assert_eq!(seen, address::pod_gateway(1, family), "{config}");
        }
        drop(proxy);
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_a_way_to_tell_local_pods_only_the_node_itself_is_masqueraded() {
    let cluster = cluster(PodNetwork::Routed);
    let topology = &cluster.topology;
    let _server = topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    let builder = cluster.proxy(1).without_cluster_cidr();
    let _proxy = builder.start().unwrap();
    let all = ["node1-pod2", "node2-pod1", "node2", "client1"];
    assert_eq!(unmasqueraded(&cluster), all);
    assert_eq!(traced(&cluster, &builder, PodNetwork::Routed), all);
    for family in Family::ALL {
        // Its source address would be the VIP, to which no pod could answer.
        for own in [topology.node(1), topology.pod(1, 1)] {
            assert_eq!(seen(own, family), address::pod_gateway(1, family), "{}", own.name());
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_bridged_pod_reaches_itself_and_local_pods_are_told_by_their_bridge() {
    let cluster = cluster(PodNetwork::Bridged);
    let _server = cluster.topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    let config = "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}";
    let builder = cluster.proxy(1).config(config);
    let _proxy = builder.start().unwrap();
    assert_eq!(unmasqueraded(&cluster), ["node1-pod2"]);
    assert_eq!(traced(&cluster, &builder, PodNetwork::Bridged), ["node1-pod2"]);
    for family in Family::ALL {
        let seen = seen(cluster.topology.pod(1, 1), family);
        assert_eq!(seen, address::pod_gateway(1, family));
    }
}
