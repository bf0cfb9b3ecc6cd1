//! Changes by other programs in the kernel, and how soon they are repaired.

use std::net::IpAddr;
use std::time::Duration;

use trimtab_core::{SetElement, SetId, SetKind};

use crate::kernel::{FakeKernel, Module};
use crate::rig::{Rig, service, slice};

/// A rig that has programmed three Services and whose auditor has looked once since.
async fn programmed(kernel: FakeKernel) -> Rig {
    let rig = Rig::start(kernel, "");
    let objects: String = (1..=3)
        .map(|number| {
            let name = format!("s{number}");
            service(&name, &format!("10.96.0.{number}")) + &slice(&name, &["10.244.0.1"])
        })
        .collect();
    rig.list(&objects).await;
    rig.wait(10).await;
    rig.kernel.take_log();
    rig
}

fn vip(number: u8) -> IpAddr {
    [10, 96, 0, number].into()
}

/// Another program deletes a VIP, an element and a virtual server.
fn tamper(kernel: &FakeKernel) {
    let mut inside = kernel.inside();
    let state = &mut inside.state;
    assert!(state.addresses.remove(&vip(1)));
    let cluster_ip = SetId::new(SetKind::ClusterIp, trimtab_core::Family::V4);
    let element = state.elements.iter().find(|(set, _)| *set == cluster_ip).copied().unwrap();
    assert!(matches!(element.1, SetElement::IpPort(..)), "{element:?}");
    state.elements.remove(&element);
    let frontend = state.virtual_servers.keys().find(|key| key.to_string().contains("10.96.0.3"));
    let frontend = *frontend.unwrap();
    state.virtual_servers.remove(&frontend);
}

fn has(log: &[String], words: &str) -> bool {
    log.iter().any(|line| line.contains(words))
}

#[tokio::test(start_paused = true)]
async fn vips_elements_and_virtual_servers_wait_for_no_real_servers() {
    let kernel = FakeKernel::default();
    // A comparison of the real servers takes an hour.
    kernel.inside().read_cost = Duration::from_secs(6);
    let rig = programmed(kernel).await;
    tamper(&rig.kernel);
    rig.wait(31).await;
    let log = rig.kernel.take_log();
    for words in ["bind 10.96.0.1", "KUBE-CLUSTER-IP", "add virtual server TCP 10.96.0.3:80"] {
        assert!(has(&log, words), "{words}: {log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_of_the_interface_is_looked_at_at_once_and_reads_vips_alone() {
    let rig = programmed(FakeKernel::default()).await;
    let reads = rig.kernel.inside().element_reads;
    tamper(&rig.kernel);
    rig.notices.interface();
    rig.settle().await;
    assert_eq!(rig.kernel.take_log(), ["bind 10.96.0.1"]);
    let inside = rig.kernel.inside();
    assert_eq!((inside.interface_checks, inside.element_reads), (1, reads));
}

#[tokio::test(start_paused = true)]
async fn a_vip_that_somebody_unbound_is_one_operation_and_one_that_we_unbound_is_none() {
    let rig = programmed(FakeKernel::default()).await;
    let reads = rig.kernel.inside().address_reads;
    rig.kernel.inside().state.addresses.remove(&vip(1));
    rig.are_unbound(&[vip(1)]).await;
    rig.settle().await;
    assert_eq!(rig.kernel.take_log(), ["bind 10.96.0.1"]);
    rig.apply(&service("s2", "10.96.0.9")).await;
    assert!(has(&rig.kernel.take_log(), "unbind 10.96.0.2"));
    rig.are_unbound(&[vip(2), vip(200)]).await;
    rig.settle().await;
    assert_eq!(rig.kernel.take_log(), Vec::<String>::new());
    assert_eq!(rig.kernel.inside().address_reads, reads);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_notices_is_one_look_a_second() {
    let rig = programmed(FakeKernel::default()).await;
    let looks = rig.kernel.inside().host_checks;
    for _ in 0..500 {
        rig.notices.interface();
        rig.notices.rules();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.wait(10).await;
    let inside = rig.kernel.inside();
    // The first at once, and the last after the last notice.
    assert_eq!((inside.interface_checks, inside.rule_checks), (6, 6));
    assert!(inside.host_checks <= looks + 1);
}

#[tokio::test(start_paused = true)]
async fn sets_that_had_to_be_made_anew_get_their_elements_at_once() {
    let rig = programmed(FakeKernel::default()).await;
    rig.kernel.inside().state.elements.clear();
    rig.kernel.inside().sets_are_gone = true;
    rig.notices.rules();
    rig.settle().await;
    assert!(has(&rig.kernel.take_log(), "KUBE-CLUSTER-IP"));
}

#[tokio::test(start_paused = true)]
async fn looks_go_on_while_the_kernel_refuses_much() {
    let rig = programmed(FakeKernel::default()).await;
    rig.kernel.inside().refuse = Some("virtual server".to_owned());
    rig.list(
        &(11..=30).map(|n| service(&format!("s{n}"), &format!("10.96.0.{n}"))).collect::<String>(),
    )
    .await;
    assert!(!rig.health.readyz().ok);
    let looks = rig.kernel.inside().host_checks;
    rig.wait(61).await;
    assert_eq!(rig.kernel.inside().host_checks, looks + 2);
}

#[tokio::test(start_paused = true)]
async fn a_module_of_ipvs_that_was_loaded_again_gets_everything_at_the_next_change() {
    let rig = programmed(FakeKernel::default()).await;
    rig.kernel.inside().state.virtual_servers.clear();
    rig.kernel.inside().module = Module::LoadedAgain;
    rig.apply(&slice("s1", &["10.244.0.1", "10.244.0.2"])).await;
    let log = rig.kernel.take_log();
    let added = |what: &str| log.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((added("add virtual server"), added("add real server")), (3, 4), "{log:?}");
}
