//! Configuration of the kernel's own costs.

use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::Layout;

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn estimation_is_as_configured_where_the_kernel_can_and_its_memory_is_known() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    cluster.apply(&web.service()).unwrap();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 1)])).unwrap();
    let proxy = cluster
        .proxy(1)
        .config(
            "ipvs: {syncPeriod: 1s}\ntrimtab: {estimation: {enabled: false, nice: 10, cpus: '0'}}",
        )
        .start()
        .unwrap();
    let namespace = cluster.topology.node(1).namespace();
    let sysctl = |name: &str| {
        let shown = namespace.command("sysctl", ["-n", &format!("net.ipv4.vs.{name}")]);
        shown.map(|value| value.trim().to_owned())
    };
    // Each was added in another kernel version: missing ones are logged, and everything else works.
    for (name, value) in [("run_estimation", "0"), ("est_nice", "10"), ("est_cpulist", "0")] {
        match sysctl(name) {
            Ok(found) => assert_eq!(found, value, "{name}"),
            Err(_) => assert!(proxy.log().contains("it needs Linux"), "{}", proxy.log()),
        }
    }
    // Two virtual and four real servers, over IPv4 and IPv6.
    let cpus = namespace.command("sh", ["-c", "grep -c ^processor /proc/cpuinfo"]).unwrap();
    let cpus: u64 = cpus.trim().parse().unwrap();
    eventually("the statistics' memory", || {
        let bytes = proxy.count("trimtab_kernel_statistics_bytes", "")?;
        Ok((bytes >= 6 * 40 * cpus && bytes % (6 * 40) == 0).then_some(()))
    })
    .unwrap();
}
