//! `trimtab trace` on a node: what it reads from the kernel, and what it says in its own words.

use std::process::{Command, Output};

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Host, Layout, PodNetwork, address};
use trimtab_trace::{Outcome, Place};

use crate::tracer::Tracer;

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .every_protocol(80, 8080)
        .external_ips(&[20])
        .load_balancer(&[30])
        .node_port(30080)
        .spec(&json!({
            "externalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["172.30.0.0/24", "fd30::/64"],
        }))
}

/// Runs `trimtab trace` with these arguments on node 1.
fn run(cluster: &Cluster, arguments: &[String]) -> Output {
    let pod_networks = Family::ALL
        .into_iter()
        .flat_map(|family| ["--pod-network".to_owned(), address::pod_cidr(1, family)]);
    run_exactly(cluster, &arguments.iter().cloned().chain(pod_networks).collect::<Vec<_>>())
}

fn run_exactly(cluster: &Cluster, arguments: &[String]) -> Output {
    let config = cluster.proxy(1).write_config().unwrap();
    let mut command = Command::new(program().unwrap());
    command.arg("trace").args(arguments).arg("--config").arg(&config);
    command.arg("--socket").arg(cluster.proxy(1).admin_socket());
    cluster.topology.node(1).namespace().run(|| command.output()).unwrap().unwrap()
}

fn arguments(from: &Host, protocol: Protocol, to: std::net::SocketAddr) -> Vec<String> {
    let own = from.address(Family::of(to.ip()));
    let source = if from.name() == "node1" { "node".to_owned() } else { own.to_string() };
    vec![source, to.to_string(), protocol.lower().to_owned()]
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_the_kernel_holds_leads_a_packet_as_the_manifests_do() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let pods = [(1, 1), (2, 1)];
    cluster.publish(&web(), &pods).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let node = topology.node(1).namespace();
    let objects = [vec![web().service()], web().slices(&pods)].concat();
    let tracer = Tracer::new(1, PodNetwork::Routed, &cluster.proxy(1), &objects);
    // Until a cluster's last list has come, the program may still add to what it has begun with.
    eventually("every virtual server", || {
        let lines = witness::ipvsadm(node)?;
        let count = lines.iter().filter(|line| line.starts_with("-A ")).count();
        // 3 VIPs and 2 node addresses by 3 protocols in 2 families, and a mark for each protocol and
        // family.
        Ok((count == 36).then_some(()))
    })
    .unwrap();
    let before = witness::State::of_kernel(node).unwrap();
    for family in Family::ALL {
        let ways = [
            web().at(family, 80),
            (address::vip(30, family), 80).into(),
            (address::vip(30, family), 81).into(),
            (address::node(1, family), 30080).into(),
        ];
        let hosts = [topology.pod(1, 2), topology.node(1), topology.pod(2, 2), topology.client(1)];
        for to in ways {
            for from in hosts {
                let mut words = arguments(from, Protocol::Tcp, to);
                words.extend(["-o".to_owned(), "json".to_owned()]);
                let output = run(&cluster, &words);
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && said.is_empty(), "{words:?}: {said}");
                let found: Value = serde_json::from_slice(&output.stdout).unwrap();
                let wanted = tracer.follow(from, Protocol::Tcp, to);
                let result = match wanted.outcome {
                    Outcome::Balanced { .. } => "balanced",
                    Outcome::Dropped => "dropped",
                    Outcome::Rejected => "rejected",
                    other => panic!("{words:?}: {other:?}"),
                };
                assert_eq!(found["result"], result, "{words:?}");
                if result == "balanced" {
                    let service = &found["virtualServer"]["service"];
                    assert_eq!(service, "default/web", "{words:?}, as the daemon says");
                }
                let steps = found["steps"].as_array().unwrap();
                let events: Vec<&str> =
                    steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
                let expected: Vec<String> =
                    wanted.steps.iter().map(trimtab_trace::Step::event).collect();
                assert_eq!(events, expected, "{words:?}");
                let place = match wanted.packet.place {
                    Place::Pod => "pod",
                    Place::PodElsewhere => "other-pod",
                    Place::Node => "node",
                    Place::Outside => "outside",
                };
                assert_eq!(found["packet"]["from"], place, "{words:?}");
            }
        }
    }
    assert_eq!(witness::State::of_kernel(node).unwrap(), before, "it changes nothing");

    let vip = (address::vip(30, Family::V4), 80).into();
    let output = run_exactly(&cluster, &arguments(topology.client(1), Protocol::Tcp, vip));
    let text = String::from_utf8(output.stdout).unwrap();
    let result = "Result: answered by 10.244.1.11:8080, which sees the client as 172.30.0.201.";
    assert!(text.trim_end().ends_with(result), "{text}");

    // Rules that somebody changed are not what was traced, and that is said.
    node.command("iptables", ["-t", "nat", "-F", "KUBE-MARK-MASQ"]).unwrap();
    let output = run(&cluster, &arguments(topology.client(1), Protocol::Udp, web().at_v4(80)));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("packet-filter rules are not those"), "{said}");
}
