//! The traffic of Services in `/metrics`, compared with what `ipvsadm` prints.

use std::time::Duration;

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::Proxy;
use trimtab_integration::cluster::traffic::{names, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::metrics::Metrics;
use trimtab_integration::topology::{Host, Layout, Namespace, address};

/// Connections, packets in, packets out, bytes in, bytes out.
type Counts = [u64; 5];

const COUNTERS: [&str; 5] = [
    "connections_total",
    "incoming_packets_total",
    "outgoing_packets_total",
    "incoming_bytes_total",
    "outgoing_bytes_total",
];

/// The sum over all virtual servers and, by address, over their real servers, as `ipvsadm` prints
/// them.
fn counted(node: &Namespace) -> anyhow::Result<(Counts, Vec<(String, Counts)>)> {
    let text = node.command("ipvsadm", ["-Ln", "--stats", "--exact"])?;
    let mut sum = Counts::default();
    let mut servers: Vec<(String, Counts)> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_server = words.first() == Some(&"->");
        let words = &words[usize::from(is_server)..];
        let Some(numbers) = words.len().checked_sub(5).map(|start| &words[start..]) else {
            continue;
        };
        let numbers: Vec<u64> = numbers.iter().filter_map(|word| word.parse().ok()).collect();
        let Ok(numbers) = Counts::try_from(numbers) else { continue };
        let add = |to: &mut Counts| to.iter_mut().zip(numbers).for_each(|(sum, more)| *sum += more);
        if !is_server {
            add(&mut sum);
        } else if let Some((_, known)) = servers.iter_mut().find(|(name, _)| name == words[0]) {
            add(known);
        } else {
            servers.push((words[0].to_owned(), numbers));
        }
    }
    Ok((sum, servers))
}

/// What a proxy shows for series that begin with `prefix` and have these labels.
fn shown(metrics: &Metrics, prefix: &str, labels: &str) -> Counts {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters")]
    COUNTERS.map(|name| metrics.sum(&format!("{prefix}{name}"), labels).unwrap_or(0.0) as u64)
}

fn metrics(proxy: &Proxy) -> anyhow::Result<Metrics> {
    Ok(Metrics::parse(&proxy.metrics()?))
}

/// Waits until what the kernel counted is in its counters: older kernels, Linux 6.1 among them, bring
/// them up to date every two seconds, for `ipvsadm` as for everybody.
fn settle(node: &Namespace) {
    eventually("counters that stand still", || {
        let before = counted(node)?.0;
        std::thread::sleep(Duration::from_secs(3));
        Ok((before == counted(node)?.0).then_some(()))
    })
    .unwrap();
}

/// Waits until the proxy shows what `ipvsadm` prints, of the Service and of each endpoint, and more
/// connections than `more_than`.
fn until_shown(node: &Namespace, proxy: &Proxy, more_than: u64) -> Counts {
    settle(node);
    let mut last = None;
    let found = eventually("the counters of ipvsadm", || {
        let (sum, servers) = counted(node)?;
        let metrics = metrics(proxy)?;
        let service = shown(&metrics, "trimtab_service_", "service_name=\"web\"");
        let of = |address: &str| {
            let labels = format!("endpoint_address=\"{address}\"");
            shown(&metrics, "trimtab_endpoint_", &labels)
        };
        let right = service == sum && service[0] > more_than;
        let right = right && servers.iter().all(|(address, counts)| of(address) == *counts);
        last = Some(format!("{service:?} is shown, {sum:?} is so; {servers:?}"));
        Ok(right.then_some(service))
    });
    found.unwrap_or_else(|error| panic!("{error:#}: {last:?}"))
}

fn ask(from: &Host, times: u32, to: std::net::SocketAddr) {
    for _ in 0..times {
        from.ask(Protocol::Tcp, to).unwrap_or_else(|error| panic!("{} {to}: {error}", from.name()));
    }
}

/// A Service with two views: clients inside reach it through a virtual server for a firewall mark.
fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1)
        .port("http", Protocol::Tcp, 80, 8080)
        .load_balancer(&[30])
        .spec(&json!({"externalTrafficPolicy": "Local"}))
        .annotation("trimtab.dev/traffic-metrics", "endpoints")
}

const CONFIG: &str = "trimtab: {drainTimeout: 0s, traffic: {interval: 2s}}";

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_shown_is_what_ipvs_counts_by_addresses_and_marks() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let node = topology.node(1).namespace();
    let pods = [(1, 1), (2, 1)];
    cluster.publish(&web(), &pods).unwrap();
    let _servers = cluster.serve(&pods, &[Protocol::Tcp], 8080).unwrap();
    let proxy = cluster.proxy(1).config(CONFIG).start().unwrap();
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    let both = names(["node1-pod1", "node2-pod1"]);
    for family in Family::ALL {
        let vip = std::net::SocketAddr::new(address::vip(30, family), 80);
        until_answered_by(topology.pod(1, 2), Protocol::Tcp, web().at(family, 80), &both).unwrap();
        until_answered_by(topology.pod(1, 2), Protocol::Tcp, vip, &both).unwrap();
        let local = names(["node1-pod1"]);
        until_answered_by(topology.client(1), Protocol::Tcp, vip, &local).unwrap();
    }
    let text = node.command("ipvsadm", ["-Ln", "--stats", "--exact"]).unwrap();
    assert!(text.lines().any(|line| line.starts_with("FWM")), "no view has a mark:\n{text}");
    let first = until_shown(node, &proxy, 20);
    ask(topology.pod(1, 2), 30, web().at(Family::V4, 80));
    let second = until_shown(node, &proxy, first[0] + 29);
    assert_eq!(second[0], first[0] + 30);

    // A connection that stays open is active.
    let open = topology.pod(1, 2).connect(Protocol::Tcp, web().at(Family::V4, 80)).unwrap();
    eventually("one active connection", || {
        let active = metrics(&proxy)?.sum("trimtab_service_active_connections", "web");
        Ok((active == Some(1.0)).then_some(()))
    })
    .unwrap();
    drop(open);
    eventually("no active connection", || {
        let active = metrics(&proxy)?.sum("trimtab_service_active_connections", "web");
        Ok((active == Some(0.0)).then_some(()))
    })
    .unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn counters_that_the_kernel_resets_do_not_go_back() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let node = topology.node(1).namespace();
    let web = ServiceSpec::new("web", 1)
        .single_stack(Family::V4)
        .port("http", Protocol::Tcp, 80, 8080)
        .annotation("trimtab.dev/traffic-metrics", "endpoints");
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let _servers = cluster.serve(&[(1, 1)], &[Protocol::Tcp], 8080).unwrap();
    let proxy = cluster.proxy(1).config(CONFIG).config("ipvs: {syncPeriod: 2s}").start().unwrap();
    let (pod, vip) = (topology.pod(1, 2), web.at_v4(80));
    let only = names(["node1-pod1"]);
    // What the kernel had counted when it began anew, and has counted since.
    let mut shown_so_far = 0.0_f64;
    let mut until_shown = |before: f64| {
        settle(node);
        eventually("the connections since the start, of the Service and of the endpoint", || {
            let (sum, _) = counted(node)?;
            let metrics = metrics(&proxy)?;
            let of = |name: &str| metrics.sum(name, "web").unwrap_or(0.0);
            let service = of("trimtab_service_connections_total");
            let endpoint = of("trimtab_endpoint_connections_total");
            assert!(service >= shown_so_far || service == 0.0, "{shown_so_far} to {service}");
            shown_so_far = service.max(shown_so_far);
            let wanted = before + f64::from(u32::try_from(sum[0])?);
            let right =
                sum[0] > 0 && [service, endpoint].iter().all(|it| (it - wanted).abs() < 0.1);
            Ok(right.then_some(wanted))
        })
        .unwrap()
    };
    ask(pod, 20, vip);
    let first = until_shown(0.0);
    assert!(first >= 20.0, "{first}");

    node.command("ipvsadm", ["-Z"]).unwrap();
    ask(pod, 5, vip);
    let second = until_shown(first);

    // The virtual server is deleted, and the audit makes it again.
    node.command("ipvsadm", ["-D", "-t", &vip.to_string()]).unwrap();
    until_answered_by(pod, Protocol::Tcp, vip, &only).unwrap();
    let third = until_shown(second);

    // The Service is deleted and created again.
    cluster.delete_service("web").unwrap();
    eventually("no virtual server", || Ok(witness::ipvsadm(node)?.is_empty().then_some(())))
        .unwrap();
    eventually("no series", || {
        let gone = metrics(&proxy)?.sum("trimtab_service_connections_total", "web").is_none();
        Ok(gone.then_some(()))
    })
    .unwrap();
    cluster.publish(&web, &[(1, 1)]).unwrap();
    until_answered_by(pod, Protocol::Tcp, vip, &only).unwrap();
    assert!(until_shown(third) > third);
}
