//! Faults around the loop, and how it recovers from them.

use std::time::Duration;

use trimtab_core::objects::LocalAddress;

use crate::bad_input::Log;
use crate::kernel::FakeKernel;
use crate::rig::{Rig, service, slice};

fn on_eth0(addresses: &[[u8; 4]]) -> Vec<LocalAddress> {
    let local =
        |address: &[u8; 4]| LocalAddress { interface: "eth0".into(), address: (*address).into() };
    addresses.iter().map(local).collect()
}

fn node_port() -> String {
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: n}\nspec: {type: NodePort, \
     clusterIP: 10.96.0.1, ports: [{name: http, port: 80, nodePort: 30080}]}\n"
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_gone_for_a_moment_costs_nothing() {
    let rig = Rig::start(FakeKernel::default(), "");
    rig.has_addresses(on_eth0(&[[192, 168, 0, 1]])).await;
    rig.list(&(node_port() + &slice("web", &["10.244.0.1"]))).await;
    rig.wait(60).await;
    rig.kernel.take_log();
    rig.has_addresses(on_eth0(&[])).await;
    rig.settle().await;
    tokio::time::sleep(Duration::from_millis(3)).await;
    rig.has_addresses(on_eth0(&[[192, 168, 0, 1]])).await;
    rig.wait(60).await;
    assert_eq!(rig.kernel.take_log(), Vec::<String>::new());
    // A new address counts at once, a lost one after a delay.
    rig.has_addresses(on_eth0(&[[192, 168, 0, 2]])).await;
    rig.settle().await;
    let log = rig.kernel.take_log();
    assert!(log.contains(&"add virtual server TCP 192.168.0.2:30080 (rr)".to_owned()), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("delete")), "{log:?}");
    rig.wait(11).await;
    assert_eq!(rig.kernel.take_log(), ["delete virtual server TCP 192.168.0.1:30080"]);
}

#[tokio::test(start_paused = true)]
async fn ready_means_that_the_kernel_took_what_is_wanted() {
    let kernel = FakeKernel::default();
    kernel.inside().lacks = Some("rr".to_owned());
    let rig = Rig::start(kernel, "");
    rig.list(&(service("web", "10.96.0.1") + &service("other", "10.96.0.2"))).await;
    assert!(!rig.health.readyz().ok, "there is no virtual server");
    assert!(rig.health.livez().ok);
    rig.wait(30).await;
    assert!(!rig.health.readyz().ok);
    rig.kernel.inside().lacks = None;
    rig.wait(61).await;
    assert!(rig.health.readyz().ok);
}

#[tokio::test(start_paused = true)]
async fn one_service_that_the_kernel_refuses_is_no_reason_not_to_be_ready() {
    let kernel = FakeKernel::default();
    kernel.inside().refuse = Some("10.96.0.2:80".to_owned());
    let rig = Rig::start(kernel, "");
    rig.list(&(service("web", "10.96.0.1") + &service("bad", "10.96.0.2"))).await;
    assert!(rig.health.readyz().ok);
    // But a Service that everything else needs does.
    rig.kernel.inside().refuse = Some("10.96.0.10:53".to_owned());
    let dns = "---\napiVersion: v1\nkind: Service\nmetadata: {name: kube-dns, namespace: \
               kube-system}\nspec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53}]}\n";
    rig.apply(dns).await;
    assert!(!rig.health.readyz().ok);
}

#[tokio::test(start_paused = true)]
async fn many_refusals_are_few_lines() {
    let kernel = FakeKernel::default();
    kernel.inside().refuse = Some("virtual server".to_owned());
    let objects: String = (1..=100)
        .map(|number| service(&format!("s{number}"), &format!("10.96.0.{number}")))
        .collect();
    let (log, _guard) = Log::start();
    let rig = Rig::start(kernel, "");
    rig.list(&objects).await;
    let log = log.take();
    assert_eq!(log.matches("cannot add virtual server").count(), 8, "{log}");
    assert!(log.contains("more operations"), "{log}");
    assert!(log.contains("more=92"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_change_without_work_does_not_wait_for_the_pace() {
    let rig = Rig::start(FakeKernel::default(), "ipvs: {minSyncPeriod: 10s}");
    rig.list(&service("web", "10.96.0.1")).await;
    let bad = "ports: [{name: http, port: 80}], externalIPs: [127.0.0.9]";
    let changed = service("web", "10.96.0.1").replace("ports: [{name: http, port: 80}]", bad);
    rig.apply(&changed).await;
    let standing = rig.warnings.standing_now();
    assert!(standing.iter().any(|words| words.contains("127.0.0.9")), "{standing:?}");
}

#[tokio::test(start_paused = true)]
async fn one_vip_that_cannot_be_bound_keeps_no_other_bound_the_old_way() {
    let kernel = FakeKernel::default();
    let vips = ["10.96.0.1", "10.96.0.2"].map(|vip| vip.parse().unwrap());
    kernel.inside().bound_otherwise = vips.to_vec();
    kernel.inside().refuse = Some("bind 10.96.0.2".to_owned());
    let rig = Rig::start(kernel, "");
    rig.list(&(service("web", "10.96.0.1") + &service("bad", "10.96.0.2"))).await;
    assert_eq!(rig.kernel.inside().bound_otherwise, [vips[1]]);
    rig.kernel.inside().refuse = None;
    rig.wait(120).await;
    assert!(rig.kernel.inside().bound_otherwise.is_empty());
}
