//! Rounds, retries, audits and drains, with time paused.

use trimtab_core::objects::{LocalAddress, ObjectName};
use trimtab_core::{Family, SetId, SetKind, VirtualServerFlags};
use trimtab_kube::{Arrival, Change, Kind};

use crate::kernel::{FakeKernel, Read};
use crate::rig::{Rig, changes, service, slice};

const WEB: &str = "10.96.0.1";

async fn started(config: &str) -> Rig {
    let rig = Rig::start(FakeKernel::default(), config);
    let objects = service("web", WEB) + &slice("web", &["10.244.0.1", "10.244.0.2"]);
    rig.list(&objects).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn programming_starts_when_every_kind_has_been_listed() {
    let rig = Rig::start_without_addresses(FakeKernel::default(), "");
    rig.send(Change::Begin(Kind::Services)).await;
    rig.apply(&(service("web", WEB) + &slice("web", &["10.244.0.1"]))).await;
    rig.send(Change::End(Kind::Services)).await;
    rig.send(Change::Begin(Kind::Slices)).await;
    rig.send(Change::End(Kind::Node)).await;
    rig.wait(100).await;
    assert!(rig.kernel.take_log().is_empty());
    assert_eq!(rig.kernel.inside().host_checks, 0, "nor is the host touched by an audit");
    assert!(!rig.health.readyz().ok);
    rig.send(Change::End(Kind::Slices)).await;
    rig.settle().await;
    assert!(rig.kernel.take_log().is_empty(), "which addresses have node ports is not known");
    rig.has_addresses(Vec::new()).await;
    rig.settle().await;
    let log = rig.kernel.take_log();
    assert_eq!(log[0], "prepare");
    assert!(log.contains(&"bind 10.96.0.1".to_owned()));
    assert!(rig.health.readyz().ok);
    rig.wait(100).await;
    assert!(rig.kernel.inside().host_checks > 0);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_left_as_wanted_is_not_written() {
    let kernel = started("").await.stop().await;
    assert!(!kernel.take_log().is_empty());
    let rig = Rig::start(kernel, "");
    rig.list(&(service("web", WEB) + &slice("web", &["10.244.0.1", "10.244.0.2"]))).await;
    rig.wait(300).await;
    assert_eq!(rig.kernel.take_log(), ["prepare"]);
    assert!(rig.health.readyz().ok);
}

#[tokio::test(start_paused = true)]
async fn node_ports_are_not_touched_before_the_nodes_addresses_are_known() {
    let objects = service("web", WEB).replace("port: 80", "port: 80, nodePort: 30080");
    let addresses = || {
        let (interface, address) = ("eth0".into(), "10.0.0.10".parse().unwrap());
        vec![LocalAddress { interface, address }]
    };
    let rig = Rig::start_without_addresses(FakeKernel::default(), "");
    rig.has_addresses(addresses()).await;
    rig.list(&objects).await;
    let kernel = rig.stop().await;
    assert!(kernel.take_log().contains(&"add virtual server TCP 10.0.0.10:30080 (rr)".to_owned()));
    let rig = Rig::start_without_addresses(kernel, "");
    rig.list(&objects).await;
    rig.wait(1).await;
    rig.has_addresses(addresses()).await;
    rig.wait(1).await;
    assert_eq!(rig.kernel.take_log(), ["prepare"]);
}

#[tokio::test(start_paused = true)]
async fn one_endpoint_is_one_operation() {
    let rig = started("").await;
    rig.kernel.take_log();
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"])).await;
    assert_eq!(rig.kernel.take_log(), ["add real server 10.244.0.3:8080 to TCP 10.96.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn flows_to_a_new_datagram_server_are_forgotten_once_it_answers() {
    let rig = started("").await;
    let dns = service("dns", "10.96.0.10").replace("port: 80", "port: 53, protocol: UDP");
    rig.kernel.take_log();
    rig.apply(&dns).await;
    let log = rig.kernel.take_log();
    assert_eq!(log.last().unwrap(), "forget flows to UDP 10.96.0.10:53", "{log:?}");
    // The kernel's state is adopted unchanged, so no conntrack entry is deleted.
    let kernel = rig.stop().await;
    kernel.take_log();
    let rig = Rig::start(kernel, "");
    let web = service("web", WEB) + &slice("web", &["10.244.0.1", "10.244.0.2"]);
    rig.list(&(web + &dns)).await;
    assert_eq!(rig.kernel.take_log(), ["prepare"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_new_list_lacks_is_gone() {
    let rig = started("").await;
    rig.kernel.take_log();
    rig.list(&(service("other", "10.96.0.2") + &slice("other", &["10.244.0.9"]))).await;
    let state = &rig.kernel.inside().state;
    assert_eq!(state.virtual_servers.len(), 1);
    assert_eq!(state.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.96.0.2"]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_spoils_is_repaired_within_a_period() {
    let rig = started("ipvs: {syncPeriod: 30s}").await;
    rig.kernel.take_log();
    {
        let mut inside = rig.kernel.inside();
        inside.state.addresses.clear();
        let server = inside.state.virtual_servers.values_mut().next().unwrap();
        server.real_servers.pop_first();
        server.real_servers.values_mut().for_each(|real| real.weight = 7);
    }
    rig.wait(60).await;
    let mut log = rig.kernel.take_log();
    log.sort();
    assert_eq!(
        log,
        [
            "add real server 10.244.0.1:8080 to TCP 10.96.0.1:80",
            "bind 10.96.0.1",
            "change real server 10.244.0.2:8080 of TCP 10.96.0.1:80",
        ]
    );
    rig.wait(300).await;
    assert!(rig.kernel.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_round_writes_while_an_audit_reads_is_not_written_twice() {
    let set = SetId::new(SetKind::ClusterIp, Family::V4);
    for read in [Read::Elements(set), Read::Addresses] {
        let rig = started("ipvs: {syncPeriod: 30s}").await;
        rig.kernel.take_log();
        let sender = rig.changes.clone();
        let mut events = changes(&service("new", "10.96.0.9"));
        events.push(Change::ServiceGone(ObjectName::new("n", "web")));
        let happen = move || {
            sender.try_send(Arrival::now(events)).unwrap();
        };
        rig.kernel.inside().meanwhile = Some((read, Box::new(happen)));
        rig.wait(60).await;
        assert!(rig.kernel.inside().meanwhile.is_none(), "no audit has read {read:?}");
        let mut log = rig.kernel.take_log();
        let operations = log.len();
        log.sort();
        log.dedup();
        assert_eq!(log.len(), operations, "written twice after {read:?}");
        assert!(log.contains(&"bind 10.96.0.9".to_owned()), "{log:?}");
        assert!(log.contains(&format!("unbind {WEB}")), "{log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_failure_holds_nothing_else_up_and_is_tried_again() {
    let rig = started("").await;
    rig.kernel.inside().refuse = Some("virtual server TCP 10.96.0.2".to_owned());
    rig.kernel.take_log();
    let objects = service("bad", "10.96.0.2") + &slice("bad", &["10.244.0.5"]);
    rig.apply(&(objects + &service("good", "10.96.0.3"))).await;
    let log = rig.kernel.take_log();
    assert!(log.contains(&"bind 10.96.0.3".to_owned()), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("bind 10.96.0.2")), "{log:?}");
    rig.kernel.inside().refuse = None;
    rig.wait(5).await;
    let log = rig.kernel.take_log();
    assert!(log.contains(&"add virtual server TCP 10.96.0.2:80 (rr)".to_owned()), "{log:?}");
    assert!(log.contains(&"bind 10.96.0.2".to_owned()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_scheduler_the_kernel_lacks_gets_the_usual_one() {
    let rig = started("").await;
    rig.kernel.inside().lacks = Some("twos".to_owned());
    let annotated = |name: &str, ip: &str| {
        let annotations = "namespace: n, annotations: {trimtab.dev/scheduler: twos}";
        service(name, ip).replace("namespace: n", annotations)
    };
    rig.kernel.take_log();
    rig.apply(&(annotated("new", "10.96.0.2") + &slice("new", &["10.244.0.5"]))).await;
    rig.wait(5).await;
    let log = rig.kernel.take_log();
    for operation in [
        "add virtual server TCP 10.96.0.2:80 (rr)",
        "add real server 10.244.0.5:8080 to TCP 10.96.0.2:80",
        "bind 10.96.0.2",
    ] {
        assert!(log.contains(&operation.to_owned()), "{operation}: {log:?}");
    }
    // A virtual server that works stays unchanged, and adding the next one is not even tried.
    rig.apply(&annotated("web", WEB)).await;
    rig.apply(&annotated("next", "10.96.0.3")).await;
    let log = rig.kernel.take_log();
    assert!(log.contains(&"bind 10.96.0.3".to_owned()), "{log:?}");
    assert!(!log.iter().any(|words| words.contains(WEB)), "{log:?}");
    rig.wait(300).await;
    assert!(rig.kernel.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_within_min_sync_period_go_together() {
    let rig = started("ipvs: {minSyncPeriod: 10s}").await;
    rig.wait(60).await;
    rig.kernel.take_log();
    // The first one after quiet goes at once.
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"])).await;
    assert_eq!(rig.kernel.take_log().len(), 1);
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4"])).await;
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.5"])).await;
    assert!(rig.kernel.take_log().is_empty());
    rig.wait(10).await;
    assert_eq!(rig.kernel.take_log(), ["add real server 10.244.0.5:8080 to TCP 10.96.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_real_server_that_leaves_keeps_its_connections_for_a_time() {
    let rig = started("trimtab: {drainTimeout: 60s}").await;
    rig.kernel.take_log();
    rig.kernel.inside().connections = 1;
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    assert_eq!(rig.kernel.take_log(), ["drain real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
    rig.wait(50).await;
    assert!(rig.kernel.take_log().is_empty());
    // The endpoint comes back: its weight is restored, nothing else happens.
    rig.apply(&slice("web", &["10.244.0.1", "10.244.0.2"])).await;
    assert_eq!(rig.kernel.take_log(), ["change real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
    rig.wait(100).await;
    assert!(rig.kernel.take_log().is_empty());
    // It is removed again, and its drain time runs out.
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    rig.wait(70).await;
    assert_eq!(
        rig.kernel.take_log(),
        [
            "drain real server 10.244.0.1:8080 of TCP 10.96.0.1:80",
            "delete real server 10.244.0.1:8080 of TCP 10.96.0.1:80",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hash_falls_back_for_as_long_as_a_real_server_drains() {
    let config = "ipvs: {scheduler: mh}\ntrimtab: {drainTimeout: 60s}";
    let rig = started(config).await;
    let flags = || rig.kernel.inside().state.virtual_servers.values().next().unwrap().server.flags;
    let usual = flags();
    rig.kernel.take_log();
    rig.kernel.inside().connections = 1;
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    assert_eq!(
        rig.kernel.take_log(),
        [
            "change virtual server TCP 10.96.0.1:80 (mh)",
            "drain real server 10.244.0.1:8080 of TCP 10.96.0.1:80",
        ]
    );
    assert_eq!(flags(), usual | VirtualServerFlags::HASH_FALLBACK);
    rig.wait(30).await;
    assert!(rig.kernel.take_log().is_empty(), "audits find it right");
    rig.wait(40).await;
    assert_eq!(flags(), usual);
    assert_eq!(rig.kernel.take_log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_time_to_drain_is_not_stretched() {
    let rig = started("trimtab: {drainTimeout: 1s}").await;
    rig.kernel.take_log();
    rig.kernel.inside().connections = 1;
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    assert_eq!(rig.kernel.take_log(), ["drain real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
    rig.wait(2).await;
    assert_eq!(rig.kernel.take_log(), ["delete real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_drained_real_server_goes_when_its_connections_have_ended() {
    let rig = started("trimtab: {drainTimeout: 900s}").await;
    rig.kernel.take_log();
    rig.kernel.inside().connections = 3;
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    rig.wait(30).await;
    assert_eq!(rig.kernel.take_log().len(), 1);
    rig.kernel.inside().connections = 0;
    rig.wait(10).await;
    assert_eq!(rig.kernel.take_log(), ["delete real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_does_not_wait_until_all_that_drain_have_been_asked() {
    let rig = started("trimtab: {drainTimeout: 900s}").await;
    rig.kernel.inside().connections = 1;
    let vip = |number: u32| format!("10.96.1.{number}");
    for number in 0..200 {
        let name = format!("web-{number}");
        rig.apply(&(service(&name, &vip(number)) + &slice(&name, &["10.244.1.1"]))).await;
        rig.apply(&slice(&name, &["10.244.1.2"])).await;
    }
    // As soon as the connections of the first one are read, an endpoint arrives.
    let sender = rig.changes.clone();
    let events = changes(&slice("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"]));
    let happen = move || sender.try_send(Arrival::now(events)).unwrap();
    rig.wait(4).await;
    rig.kernel.take_log();
    rig.kernel.inside().log_questions = true;
    rig.kernel.inside().meanwhile = Some((Read::Connections, Box::new(happen)));
    rig.wait(5).await;
    let log = rig.kernel.take_log();
    let came = "add real server 10.244.0.3:8080 to TCP 10.96.0.1:80";
    let asked_before = log.iter().position(|words| words == came).unwrap();
    assert!(asked_before < 50, "{asked_before} were asked first");
    assert!(log.len() > 200, "the others have their turn: {}", log.len());
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_after_a_restart() {
    let rig = started("trimtab: {drainTimeout: 60s}").await;
    rig.kernel.inside().connections = 1;
    rig.apply(&slice("web", &["10.244.0.2"])).await;
    let kernel = rig.stop().await;
    kernel.take_log();
    let rig = Rig::start(kernel, "trimtab: {drainTimeout: 60s}");
    rig.list(&(service("web", WEB) + &slice("web", &["10.244.0.2"]))).await;
    rig.wait(30).await;
    assert_eq!(rig.kernel.take_log(), ["prepare"]);
    rig.kernel.inside().connections = 0;
    rig.wait(10).await;
    assert_eq!(rig.kernel.take_log(), ["delete real server 10.244.0.1:8080 of TCP 10.96.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_the_kernel_as_it_is() {
    let rig = started("").await;
    rig.kernel.take_log();
    let kernel = rig.stop().await;
    assert!(kernel.take_log().is_empty());
    assert_eq!(kernel.inside().state.virtual_servers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_goes_on_refusing_is_a_warning_until_it_is_done() {
    let rig = started("").await;
    rig.kernel.inside().refuse = Some("virtual server TCP 10.96.0.2".to_owned());
    rig.apply(&service("bad", "10.96.0.2")).await;
    rig.wait(1).await;
    assert!(rig.warnings.standing_now().is_empty(), "once is an accident");
    rig.wait(9).await;
    let words = "Service n/bad: KernelRefused: cannot add virtual server TCP 10.96.0.2:80 (rr): no";
    assert_eq!(rig.warnings.standing_now(), [words]);
    rig.kernel.inside().refuse = None;
    rig.wait(60).await;
    assert!(rig.warnings.standing_now().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_right_of_the_host_does_not_keep_the_rest_from_repair() {
    let rig = started("ipvs: {syncPeriod: 30s}").await;
    rig.kernel.take_log();
    {
        let mut inside = rig.kernel.inside();
        inside.host_fails = true;
        inside.state.addresses.clear();
    }
    rig.wait(60).await;
    assert_eq!(rig.kernel.take_log(), ["bind 10.96.0.1"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_prepared_yet_is_waited_for() {
    let kernel = FakeKernel::default();
    kernel.inside().unprepared = 3;
    let rig = Rig::start(kernel, "{}");
    rig.list(&(service("web", "10.96.0.1") + &slice("web", &["10.244.0.1"]))).await;
    rig.wait(6).await;
    assert!(rig.kernel.take_log().is_empty() && !rig.health.readyz().ok);
    assert!(rig.health.livez().ok, "the program itself is well");
    rig.wait(2).await;
    assert!(rig.kernel.take_log().contains(&"prepare".to_owned()));
    assert!(rig.health.readyz().ok);
}
