//! Deletion of a Service: the order in which its parts are removed, and what happens to its
//! connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::soon;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Host, Layout, Server, Unanswered};

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[20])
        .load_balancer(&[30])
        .node_port(30080)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nothing_of_a_service_is_left_and_no_daemon_answers_in_its_place() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let node = cluster.topology.node(1);
    let other = ServiceSpec::new("other", 2).every_protocol(80, 8080);
    cluster.publish(&other, &[(1, 1)]).unwrap();
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &Protocol::ALL, 8080).unwrap();
    // This would answer if the VIP existed without its virtual server or its elements.
    let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let sockets = everywhere.map(|any| (Protocol::Tcp, SocketAddr::new(any, 80)));
    let _daemon = Server::start(node.namespace(), "daemon", &sockets).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let state = || {
        let namespace = node.namespace();
        let rules = witness::rules(namespace, Family::V4)?;
        anyhow::Ok((
            witness::ipvsadm(namespace)?,
            witness::ipset(namespace)?,
            witness::addresses(namespace)?,
            rules,
        ))
    };
    let without = state().unwrap();
    let stop = AtomicBool::new(false);
    let answered = [AtomicU32::new(0), AtomicU32::new(0)];
    thread::scope(|scope| {
        for (family, answered) in Family::ALL.into_iter().zip(&answered) {
            let (stop, from, to) = (&stop, cluster.topology.pod(1, 2), web().at(family, 80));
            scope.spawn(move || {
                // Short, so that many requests are sent during each deletion.
                let patience = soon() / 6;
                while !stop.load(Ordering::Relaxed) {
                    match from.ask_within(Protocol::Tcp, to, patience) {
                        Ok(answer) => {
                            assert!(answer.name.contains("pod1"), "{answer:?}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(Unanswered::Other(what)) => panic!("{what}"),
                        Err(_) => {}
                    }
                }
            });
        }
        for _ in 0..5 {
            cluster.publish(&web(), &[(1, 1), (2, 1)]).unwrap();
            let before = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
            eventually("answers in both families", || {
                let now = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
                Ok((now[0] > before[0] && now[1] > before[1]).then_some(()))
            })
            .unwrap();
            cluster.delete_service("web").unwrap();
            eventually("the end of the service", || Ok((state()? == without).then_some(())))
                .unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn open_connections_end_with_their_service_and_those_of_others_go_on() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let (pod, client, node) = (topology.pod(1, 2), topology.client(1), topology.node(1));
    client.route_services_via(node).unwrap();
    let other = ServiceSpec::new("other", 2).port("http", Protocol::Tcp, 80, 8080);
    for spec in [&web(), &other] {
        cluster.publish(spec, &[(1, 1), (2, 1)]).unwrap();
    }
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &Protocol::ALL, 8080).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    for family in Family::ALL {
        let node_port = SocketAddr::new(node.address(family), 30080);
        let connect = |from: &Host, to| {
            let mut open = from.connect(Protocol::Tcp, to).unwrap();
            open.ask().unwrap();
            open
        };
        let mut through_vip = [pod, client, node].map(|from| connect(from, web().at(family, 80)));
        let mut through_node_port = connect(client, node_port);
        let mut of_other = connect(pod, other.at(family, 80));
        cluster.delete_service("web").unwrap();
        eventually("the end of the service", || {
            let lines = witness::ipvsadm(node.namespace())?;
            let vip = web().at(family, 80).to_string();
            Ok((!lines.iter().any(|line| line.contains(&vip))).then_some(()))
        })
        .unwrap();
        // The address of the node is still there, and the node says so.
        assert_eq!(through_node_port.ask(), Err(Unanswered::Closed));
        // The VIP is gone, so there is no answer: clients wait for their own timeouts.
        for open in &mut through_vip {
            open.set_patience(soon()).unwrap();
            assert_eq!(open.ask(), Err(Unanswered::TimedOut));
        }
        of_other.ask().unwrap();
        let forgotten = eventually("the end of IPVS's connections", || {
            let left = witness::connections(node.namespace())?;
            let its = [web().at(family, 80), node_port].map(|to| format!(" {to} "));
            Ok((!left.iter().any(|line| its.iter().any(|to| line.contains(to)))).then_some(()))
        });
        forgotten.unwrap();
        cluster.apply(&web().service()).unwrap();
        eventually("the service", || {
            Ok(pod.ask_within(Protocol::Tcp, web().at(family, 80), soon()).ok())
        })
        .unwrap();
    }
}
