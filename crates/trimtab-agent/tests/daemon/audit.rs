//! What an audit hands to the loop.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use trimtab_agent::health::Health;
use trimtab_agent::{AuditPart, Auditor, Notices};
use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetElement, SetId, SetKind,
    VirtualServer,
};
use trimtab_reconcile::Action;

use crate::kernel::FakeKernel;

/// The most objects that the loop handles between two looks for events.
const MOST: usize = 2048;
/// Of each kind but real servers.
const OBJECTS: u32 = 5000;

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + number).into()
}

/// Every tenth virtual server has 1,000 real servers.
fn large() -> FakeKernel {
    let kernel = FakeKernel::default();
    let set = SetId::new(SetKind::IpvsIps, Family::V4);
    let act = |action: Action| kernel.inside().state.act(&action).unwrap();
    for number in 0..OBJECTS {
        act(Action::AddElement(set, SetElement::Ip(address(number))));
        act(Action::AddAddress(address(number)));
        let frontend = Frontend::new(Protocol::Tcp, address(number), 80);
        act(Action::AddVirtualServer(VirtualServer::new(frontend, Scheduler::RoundRobin)));
        let real_servers = if number % 10 == 0 { 1000 } else { 1 };
        for port in 1..=real_servers {
            let key = RealServerKey::new(address(number), port);
            act(Action::AddRealServer(frontend, RealServer::masqueraded(key)));
        }
    }
    kernel
}

fn audit(kernel: &FakeKernel, parts: mpsc::Sender<AuditPart>, health: Arc<Health>) {
    let notices = Arc::new(Notices::default());
    tokio::spawn(
        Auditor::new(kernel.reader(), Duration::from_secs(30), parts, health, notices).run(),
    );
}

#[tokio::test(start_paused = true)]
async fn no_part_of_an_audit_is_large_and_none_is_missing() {
    let health = Arc::new(Health::new(Duration::from_secs(30), &Family::ALL));
    health.set_programmed(true);
    let (sender, mut parts) = mpsc::channel(4);
    audit(&large(), sender, health);
    let (mut elements, mut addresses, mut virtual_servers, mut real_servers) = (0, 0, 0, 0);
    let mut begins = 0;
    loop {
        let (size, sum) = match parts.recv().await.unwrap() {
            AuditPart::Begin(begun) => {
                // Anything read before the answer might be older than the answer.
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(parts.is_empty(), "something was read before the loop knew");
                begun.send(()).unwrap();
                begins += 1;
                continue;
            }
            AuditPart::Elements(_, part) => (part.len(), &mut elements),
            AuditPart::Addresses(part) => (part.len(), &mut addresses),
            AuditPart::VirtualServers(part) => (part.len(), &mut virtual_servers),
            AuditPart::RealServers(part) => {
                (part.iter().map(|(_, servers)| servers.len()).sum(), &mut real_servers)
            }
            AuditPart::EndOfElements(_)
            | AuditPart::EndOfAddresses
            | AuditPart::EndOfVirtualServers
            | AuditPart::EndOfLook => continue,
            AuditPart::End => break,
        };
        assert!(size <= MOST, "{size} objects in one part");
        *sum += size;
    }
    assert_eq!(begins, 1);
    assert_eq!((elements, addresses, virtual_servers), (5000, 5000, 5000));
    assert_eq!(real_servers, 500 * 1000 + 4500);
}

#[tokio::test(start_paused = true)]
async fn the_host_is_looked_at_every_period_however_long_a_comparison_takes() {
    let health = Arc::new(Health::new(Duration::from_secs(30), &Family::ALL));
    health.set_programmed(true);
    let kernel = large();
    // 5,000 virtual servers take 5 s of CPU time, and one percent of a processor is allowed.
    kernel.inside().read_cost = Duration::from_millis(1);
    let (sender, mut parts) = mpsc::channel(4);
    audit(&kernel, sender, health);
    loop {
        match parts.recv().await.unwrap() {
            AuditPart::Begin(begun) => begun.send(()).unwrap(),
            AuditPart::End => break,
            _ => {}
        }
    }
    let looks = kernel.inside().host_checks;
    // One in eight tenths of a period, so that what changes just after one is repaired within it.
    assert!((20..=23).contains(&looks), "{looks} looks in 500 s");
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_most_virtual_servers_is_noticed_within_seconds() {
    let health = Arc::new(Health::new(Duration::from_secs(30), &Family::ALL));
    health.set_programmed(true);
    let kernel = large();
    let (sender, mut parts) = mpsc::channel(4);
    audit(&kernel, sender, health);
    let mut looks = 0;
    let mut lost_at = None;
    loop {
        match parts.recv().await.unwrap() {
            AuditPart::Begin(begun) => {
                looks += 1;
                begun.send(()).unwrap();
                if looks == 2 {
                    break;
                }
            }
            // Every virtual server is gone while the real servers of the first look are read.
            AuditPart::RealServers(_) if lost_at.is_none() => {
                lost_at = Some(tokio::time::Instant::now());
                kernel.inside().state.virtual_servers.clear();
            }
            _ => {}
        }
    }
    let noticed = lost_at.unwrap().elapsed();
    assert!(noticed <= Duration::from_secs(3), "{noticed:?}");
}
