//! Health-check node ports, queried from outside the cluster with real packets.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use test_api::Resource;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::{Host, Layout};

const PORT: u16 = 32_000;

/// Status and count of endpoints; `None` if nobody listens there.
fn ask(from: &Host, to: SocketAddr) -> Option<(u16, usize)> {
    let text = from.namespace().run(|| {
        let patience = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
        stream.set_read_timeout(Some(6 * patience)).unwrap();
        let question = b"GET / HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
        let mut text = String::new();
        let asked = stream.write_all(question).and_then(|()| stream.read_to_string(&mut text));
        match asked {
            // A listener that is closed resets connections that it has not accepted yet.
            Err(error) if [ConnectionReset, BrokenPipe].contains(&error.kind()) => None,
            // And it closes those whose question it has not read yet.
            Ok(_) if text.is_empty() => None,
            asked => asked.map(|_| Some(text)).unwrap(),
        }
    });
    let text = text.unwrap()?;
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let weight = text.lines().find_map(|line| {
        line.strip_prefix("X-Load-Balancing-Endpoint-Weight: ")?.parse::<usize>().ok()
    });
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["localEndpoints"], json!(weight.unwrap()));
    assert_eq!(body["service"], json!({"namespace": "default", "name": "web"}));
    Some((status, weight.unwrap()))
}

fn service() -> ServiceSpec {
    ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080).spec(&json!({
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": PORT,
    }))
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn outsiders_learn_which_node_has_endpoints_through_a_closed_firewall() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let web = service();
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1), (1, 2)])).unwrap();
    let _proxies = [1, 2].map(|node| cluster.proxy(node).start().unwrap());
    for node in [1, 2] {
        let namespace = topology.node(node).namespace();
        for program in ["iptables", "ip6tables"] {
            // Behind the jumps to our chains, as a host's own firewall ends.
            let rule = ["-A", "INPUT", "-p", "tcp", "--dport", "32000", "-j", "DROP"];
            namespace.command(program, rule).unwrap();
        }
    }
    let until = |wanted: [Option<(u16, usize)>; 2]| {
        for family in Family::ALL {
            for (node, wanted) in [1, 2].into_iter().zip(wanted) {
                let to = SocketAddr::new(topology.node(node).address(family), PORT);
                eventually(format!("{wanted:?} at {to}"), || {
                    Ok((ask(topology.client(1), to) == wanted).then_some(()))
                })
                .unwrap();
            }
        }
    };
    until([Some((200, 2)), Some((503, 0))]);
    cluster.apply_all(&web.slices(&[(1, 1), (2, 1)])).unwrap();
    until([Some((200, 1)), Some((200, 1))]);
    let leaving = json!({"conditions": {"ready": false, "serving": true, "terminating": true}});
    cluster.apply_all(&web.slices_with(&[(1, 1, leaving), (2, 1, json!({}))])).unwrap();
    until([Some((503, 0)), Some((200, 1))]);
    // Closed again: the packet is no longer let in, or is refused.
    for node in [1, 2] {
        let namespace = topology.node(node).namespace();
        for program in ["iptables", "ip6tables"] {
            namespace.command(program, ["-F", "INPUT"]).unwrap();
        }
    }
    cluster.api.delete(Resource::Services, "default/web").unwrap();
    until([None, None]);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_port_that_is_taken_is_an_event_on_the_service() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let node = cluster.topology.node(1);
    let more = json!({"healthCheckNodePort": 32_001});
    let web = service().spec(&more).metadata(&json!({"uid": "uid-20"}));
    cluster.apply(&web.service()).unwrap();
    let taken = node.serve(&[Protocol::Tcp], 32_001).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    // Nodes wait up to a minute before they send an Event, each for a time of its own: with this
    // Service's uid it is short.
    let look = || Ok(cluster.api.list(Resource::EventsV1).pop());
    let event = eventually("an Event", look).or_else(|_| eventually("an Event", look)).unwrap();
    assert_eq!(event["reason"], "FailedToStartServiceHealthcheck", "{event:#}");
    assert_eq!(event["reportingInstance"], "node1");
    assert_eq!(event["regarding"]["name"], "web");
    assert_eq!(proxy.count("trimtab_problems", "FailedToStartServiceHealthcheck").unwrap(), 1);
    // The API server has the Event before the program has its answer.
    let sent = || Ok((proxy.count("trimtab_events_total", "sent")? == 1).then_some(()));
    eventually("one Event that was sent", sent).unwrap();
    drop(taken);
    eventually("its end", || Ok((proxy.count("trimtab_problems", "Failed")? == 0).then_some(())))
        .unwrap();
    assert!(proxy.log().contains("resolved: Service default/web: "), "{}", proxy.log());
}
