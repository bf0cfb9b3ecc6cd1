//! VIPs bound by routes instead of addresses, and switching between the two.

use std::collections::BTreeSet;

use test_api::Resource;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{
    Cluster, Proxy, ProxyBuilder, ServiceSpec, eventually, witness,
};
use trimtab_integration::topology::{Connection, Host, Layout, Namespace, PodNetwork, address};

use crate::tracer::{Fate, Seen, Tracer};

/// The VIPs of our local routes, as `ip` shows them.
fn routes(namespace: &Namespace) -> BTreeSet<String> {
    ["-4", "-6"]
        .iter()
        .flat_map(|family| {
            let shown = namespace
                .command("ip", [family, "route", "show", "table", "local", "proto", "116"])
                .unwrap();
            shown.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
        .collect()
}

fn addresses(namespace: &Namespace) -> BTreeSet<String> {
    witness::addresses(namespace).unwrap().into_iter().collect()
}

/// The program with one `vipBinding`, after it has removed the VIPs bound the other way.
fn start(cluster: &Cluster, binding: &str) -> Proxy {
    builder(cluster, binding).start().unwrap()
}

fn builder(cluster: &Cluster, binding: &str) -> ProxyBuilder {
    cluster.proxy(1).config(&format!("trimtab: {{vipBinding: {binding}}}"))
}

/// The first pod answers, and sees whom `trimtab trace` expects it to see.
fn answers(from: &Host, web: &ServiceSpec, tracer: &Tracer) {
    for family in Family::ALL {
        for protocol in Protocol::ALL {
            let to = web.at(family, 80);
            let what = format!("{} {protocol} {family}", from.name());
            let answer = from.ask(protocol, to).unwrap_or_else(|why| panic!("{what}: {why}"));
            let is_own = answer.seen_peer.ip() == from.address(family);
            let seen = if is_own { Seen::Itself } else { Seen::ThisNode };
            let pod = (address::pod(1, 1, family), 8080).into();
            let fate = tracer.fate(from, protocol, to);
            assert_eq!(fate, Fate::Answered(vec![(pod, seen)]), "{what}");
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn vips_move_from_addresses_to_routes_and_back_and_no_connection_notices() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1)])).unwrap();
    let _server = topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    let (node, namespace) = (topology.node(1), topology.node(1).namespace());
    let vips: BTreeSet<String> =
        Family::ALL.iter().map(|family| web.vip(*family).to_string()).collect();

    let first = start(&cluster, "address");
    assert_eq!((addresses(namespace), routes(namespace)), (vips.clone(), BTreeSet::new()));
    let askers = [topology.pod(1, 2), topology.client(1), node];
    let open = |from: &Host| from.connect(Protocol::Tcp, web.at_v4(80)).unwrap();
    let mut connections: Vec<Connection> = askers.iter().map(|from| open(from)).collect();
    let mut go_on = |way: &str| {
        for connection in &mut connections {
            connection.ask().unwrap_or_else(|error| panic!("{way}: {error}"));
        }
    };
    go_on("address");
    first.terminate().unwrap();

    let second = start(&cluster, "route");
    eventually("addresses go", || Ok(addresses(namespace).is_empty().then_some(()))).unwrap();
    assert_eq!(routes(namespace), vips);
    go_on("route");
    // From pods, a pod to itself among them, the node and outside.
    let objects = [vec![web.service()], web.slices(&[(1, 1)])].concat();
    let tracer = Tracer::new(1, PodNetwork::Routed, &builder(&cluster, "route"), &objects);
    for from in [topology.pod(1, 1), topology.pod(1, 2), node, topology.client(1)] {
        answers(from, &web, &tracer);
    }
    for family in Family::ALL {
        let seen = node.ask(Protocol::Tcp, web.at(family, 80)).unwrap().seen_peer.ip();
        // The pods' network has a gateway address of the node's, as source of what is masqueraded.
        assert_ne!(seen, web.vip(family), "not the VIP over {family}");
    }
    second.terminate().unwrap();

    let third = start(&cluster, "address");
    eventually("routes go", || Ok(routes(namespace).is_empty().then_some(()))).unwrap();
    assert_eq!(addresses(namespace), vips);
    go_on("address again");
    drop(third);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn routes_come_and_go_with_services_and_follow_the_nodes_address() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let (web, more) = (ServiceSpec::new("web", 1), ServiceSpec::new("more", 2));
    let (web, more) = (web.every_protocol(80, 8080), more.every_protocol(80, 8080));
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1)])).unwrap();
    let _server = topology.pod(1, 1).serve(&Protocol::ALL, 8080).unwrap();
    let (node, namespace) = (topology.node(1), topology.node(1).namespace());
    let _proxy = start(&cluster, "route");
    let vips = |specs: &[&ServiceSpec]| -> BTreeSet<String> {
        let pairs = specs.iter().flat_map(|spec| Family::ALL.map(|family| spec.vip(family)));
        pairs.map(|vip| vip.to_string()).collect()
    };
    assert_eq!(routes(namespace), vips(&[&web]));
    let come = |what: &str, wanted: &BTreeSet<String>| {
        eventually(what, || Ok((routes(namespace) == *wanted).then_some(()))).unwrap();
    };

    cluster.apply(&more.service()).unwrap();
    come("a second Service's VIPs", &vips(&[&web, &more]));

    // The source of the node's own connections follows the node's address.
    let own = node.address(Family::V4);
    let shown = namespace.command("ip", ["-o", "-4", "address", "show"]).unwrap();
    let line = shown.lines().find(|line| line.contains(&format!("{own}/"))).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (device, prefix) = (words[1], words[3]);
    namespace.command("ip", ["address", "del", prefix, "dev", device]).unwrap();
    let sourced = || -> anyhow::Result<usize> {
        let shown = ["route", "show", "table", "local", "proto", "116"];
        let shown = namespace.command("ip", shown)?;
        Ok(shown.lines().filter(|line| line.contains(&format!("src {own}"))).count())
    };
    eventually("no source while the address is gone", || Ok((sourced()? == 0).then_some(())))
        .unwrap();
    assert_eq!(routes(namespace), vips(&[&web, &more]));
    namespace.command("ip", ["address", "add", prefix, "dev", device]).unwrap();
    eventually("the address as source again", || Ok((sourced()? == 2).then_some(()))).unwrap();

    cluster.api.delete(Resource::Services, "default/more").unwrap();
    come("the first Service's VIPs alone", &vips(&[&web]));
}
