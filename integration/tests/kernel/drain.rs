//! Draining TCP real servers keep their connections for a while and get no new ones.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use trimtab_core::{Family, Protocol, Scheduler};
use trimtab_integration::cluster::traffic::{answers, names};
use trimtab_integration::cluster::{Cluster, Proxy, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Connection, Host, Layout, Server, Unanswered, address};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];
const LEAVING: &str = "node1-pod1";

fn web(number: u8) -> ServiceSpec {
    ServiceSpec::new(&format!("web{number}"), number).port("http", Protocol::Tcp, 80, 8080)
}

/// A cluster in which both pods answer.
fn cluster() -> (Cluster, Vec<Server>) {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let servers = cluster.serve(&PODS, &[Protocol::Tcp], 8080).unwrap();
    (cluster, servers)
}

/// A connection to the pod that will be removed.
fn open(from: &Host, to: SocketAddr) -> Connection {
    let mut opened = (0..PODS.len()).map(|_| from.connect(Protocol::Tcp, to).unwrap());
    opened.find_map(|mut one| (one.ask().unwrap().name == LEAVING).then_some(one)).unwrap()
}

/// The weight that the leaving pod has at a VIP: `None` once it is gone.
fn weight(cluster: &Cluster, to: SocketAddr) -> Option<String> {
    let leaving = SocketAddr::new(address::pod(1, 1, Family::of(to.ip())), 8080);
    let lines = witness::ipvsadm(cluster.topology.node(1).namespace()).unwrap();
    let start = format!("-a -t {to} -r {leaving} ");
    let line = lines.iter().find(|line| line.starts_with(&start))?;
    line.rsplit(' ').next().map(str::to_owned)
}

fn until_weight(cluster: &Cluster, to: SocketAddr, wanted: Option<&str>) {
    let what = format!("weight {wanted:?} at {to}");
    eventually(what, || Ok((weight(cluster, to).as_deref() == wanted).then_some(()))).unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_open_goes_on_until_it_ends_or_the_time_is_over() {
    let started = Instant::now();
    let (cluster, _servers) = cluster();
    // Between the pod's leaving and the last answer that must still come, this test does less than
    // it takes to lay a cluster, on whatever machine; twice that is for a busy one.
    let pace = 2 * started.elapsed();
    let [short, longer] = [2, 3].map(|seconds| Duration::from_secs(seconds) + pace);
    let [short, longer] = [short, longer].map(|time| format!("{}ms", time.as_millis()));
    let from = cluster.topology.pod(1, 2);
    // The first waits for the end of its connections, however long; the second has a short time,
    // the third none, and the fourth's is set by the configuration.
    let specs = [
        web(1).annotation("trimtab.dev/drain-timeout", "1h"),
        web(2).annotation("trimtab.dev/drain-timeout", &short),
        web(3).annotation("trimtab.dev/drain-timeout", "0s"),
        web(4),
    ];
    for spec in &specs {
        cluster.publish(spec, &PODS).unwrap();
    }
    let config = format!("trimtab: {{drainTimeout: {longer}}}");
    let _proxy = cluster.proxy(1).config(&config).start().unwrap();
    let at = |number: u8, family| specs[usize::from(number) - 1].at(family, 80);
    let open_all = |number| Family::ALL.map(|family| open(from, at(number, family)));
    let [ended, mut kept, mut timed, mut cut, mut configured] = [1, 1, 2, 3, 4].map(open_all);
    let until = |number, wanted| {
        for family in Family::ALL {
            until_weight(&cluster, at(number, family), wanted);
        }
    };
    for spec in &specs {
        cluster.apply_all(&spec.slices(&PODS[1..])).unwrap();
    }
    until(1, Some("0"));
    until(3, None);
    for family in [0, 1] {
        assert_eq!(cut[family].ask(), Err(Unanswered::Closed));
        for open in [&mut kept, &mut timed, &mut configured] {
            assert_eq!(open[family].ask().unwrap().name, LEAVING);
        }
    }
    for family in Family::ALL {
        for number in [1, 2, 3, 4] {
            let found = answers(from, Protocol::Tcp, at(number, family));
            assert_eq!(found, Ok(names(["node2-pod1"])), "nothing new for who leaves");
        }
    }
    // One of two connections ends: not the time yet.
    for ended in ended {
        ended.abort().unwrap();
    }
    until(2, None);
    until(4, None);
    for family in [0, 1] {
        assert_eq!(timed[family].ask(), Err(Unanswered::Closed));
        assert_eq!(configured[family].ask(), Err(Unanswered::Closed));
        assert_eq!(kept[family].ask().unwrap().name, LEAVING);
    }
    until(1, Some("0"));
    // It comes back before the drain time is over: as if it had never been removed.
    cluster.apply_all(&specs[0].slices(&PODS)).unwrap();
    until(1, Some("1"));
    for (family, kept) in Family::ALL.into_iter().zip(&mut kept) {
        assert_eq!(kept.ask().unwrap().name, LEAVING);
        let both = names([LEAVING, "node2-pod1"]);
        assert_eq!(answers(from, Protocol::Tcp, at(1, family)), Ok(both));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_crash_and_a_new_start_go_on_draining() {
    let (cluster, mut servers) = cluster();
    let from = cluster.topology.pod(1, 2);
    let web = web(1);
    let to = web.at_v4(80);
    cluster.publish(&web, &PODS).unwrap();
    // A connection that one side has ended is then kept by IPVS for a second.
    let proxy = cluster.proxy(1).config("ipvs: {tcpFinTimeout: 1s}");
    let first = proxy.start().unwrap();
    let mut kept = open(from, to);
    cluster.apply_all(&web.slices(&PODS[1..])).unwrap();
    // Both families: each has a slice of its own, and nothing must be left for the second to do.
    until_weight(&cluster, to, Some("0"));
    until_weight(&cluster, web.at(Family::V6, 80), Some("0"));
    first.kill().unwrap();
    assert_eq!(kept.ask().unwrap().name, LEAVING);
    let second = proxy.start().unwrap();
    assert_eq!(weight(&cluster, to).as_deref(), Some("0"));
    assert_eq!(second.count("trimtab_netlink_messages_total", "ipvs").unwrap(), 0);
    assert_eq!(kept.ask().unwrap().name, LEAVING);
    assert_eq!(answers(from, Protocol::Tcp, to), Ok(names(["node2-pod1"])));
    drop(servers.remove(0));
    until_weight(&cluster, to, None);
    assert_eq!(answers(from, Protocol::Tcp, to), Ok(names(["node2-pod1"])));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nobody_is_refused_while_a_pod_drains_whatever_the_scheduler() {
    let (cluster, _servers) = cluster();
    let topology = &cluster.topology;
    let clients = [topology.pod(1, 2), topology.pod(2, 2), topology.node(1), topology.client(1)];
    for client in [topology.node(2), topology.client(1)] {
        client.route_services_via(topology.node(1)).unwrap();
    }
    let to = web(1).at_v4(80);
    cluster.publish(&web(1), &PODS).unwrap();
    let proxy = cluster.proxy(1).config("iptables: {masqueradeAll: true}").start().unwrap();
    let mut refused = Vec::new();
    for scheduler in Scheduler::known() {
        let asked = scheduler.name();
        let spec = web(1).annotation("trimtab.dev/scheduler", asked);
        cluster.publish(&spec, &PODS).unwrap();
        until_served(&cluster, &proxy, to, asked, &["1", "1"]);
        let mut open = clients[0].connect(Protocol::Tcp, to).unwrap();
        let leaving = open.ask().unwrap().name;
        // By hash of the destination alone: a pod of weight 0 would be given connections, and refuse.
        let drains = scheduler != Scheduler::DestinationHashing;
        let left = PODS.into_iter().find(|(node, _)| !leaving.contains(&format!("node{node}")));
        cluster.apply_all(&spec.slices(&[left.unwrap()])).unwrap();
        until_served(&cluster, &proxy, to, asked, if drains { &["0", "1"] } else { &["1"] });
        for client in clients {
            let found = answers(client, Protocol::Tcp, to);
            if found.as_ref().map_or(true, |found| found.contains(&leaving)) {
                refused.push((asked.to_owned(), client.name(), found));
            }
        }
        let kept = open.ask().map(|answer| answer.name);
        assert_eq!(kept, if drains { Ok(leaving) } else { Err(Unanswered::Closed) }, "{asked}");
        open.abort().unwrap();
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Waits until a VIP has this scheduler, or the usual one where the kernel lacks it, and real servers
/// of these weights, the least first.
fn until_served(
    cluster: &Cluster,
    proxy: &Proxy,
    to: SocketAddr,
    scheduler: &str,
    weights: &[&str],
) {
    eventually(format!("{scheduler} with {weights:?}"), || {
        let lines = witness::ipvsadm(cluster.topology.node(1).namespace())?;
        let real = format!("-a -t {to} ");
        let mut found: Vec<&str> = lines
            .iter()
            .filter(|line| line.starts_with(&real))
            .filter_map(|line| line.rsplit(' ').next())
            .collect();
        found.sort_unstable();
        let has = |name: &str| {
            let own = format!("-A -t {to} -s {name}");
            lines.iter().any(|line| *line == own || line.starts_with(&format!("{own} ")))
        };
        let is_lacking = || proxy.log().contains(&format!("kernel has no scheduler {scheduler}"));
        let has_scheduler = has(scheduler) || (has("rr") && is_lacking());
        Ok((has_scheduler && found == weights).then_some(()))
    })
    .unwrap();
}
