//! What the program says of itself at its metrics address.

use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::Layout;

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn metrics_are_well_formed_and_the_other_pages_are_there() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let config = "enableProfiling: true\ntrimtab: {traffic: {interval: 2s, namespaces: ['*']}}";
    let proxy = cluster.proxy(1).config(config).start().unwrap();
    let node = cluster.topology.node(1).namespace();
    let curl = |arguments: &[&str], path: &str| {
        let url = format!("http://127.0.0.1:10249{path}");
        node.command("curl", [&["-sS", "--fail-with-body"], arguments, &[&url]].concat()).unwrap()
    };
    for path in ["/metrics", "/metrics/slis"] {
        let text = curl(&[], path);
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .filter(|family| text.contains(&format!("# TYPE {family} histogram")))
                .unwrap_or(name);
            for kind in ["HELP", "TYPE"] {
                let head = format!("# {kind} {family} ");
                assert_eq!(text.matches(&head).count(), 1, "{head}for {line}");
            }
        }
    }
    let metrics = curl(&[], "/metrics");
    for name in ["process_cpu_seconds_total ", "trimtab_build_info{", "kubernetes_build_info{"] {
        assert!(metrics.contains(&format!("\n{name}")), "{name}\n{metrics}");
    }
    let slis = curl(&[], "/metrics/slis");
    let line = "kubernetes_healthcheck{name=\"kernel-programmed\",type=\"readyz\"} 1\n";
    assert!(slis.contains(line), "{slis}");
    assert!(curl(&[], "/statusz").contains("/debug/threads"));
    assert!(curl(&[], "/flagz").contains("\nprofiling=true\n"));
    assert!(curl(&[], "/debug/threads").contains("\nsync "));

    // The verbosity is 2 at first, so each operation has a line.
    let answer = curl(&["-X", "PUT", "-d", "0"], "/debug/flags/v");
    assert_eq!(answer, "successfully set klog.logging.verbosity to 0");
    let before = proxy.log();
    assert!(before.contains("DEBUG"), "{before}");
    cluster.delete_service("web").unwrap();
    trimtab_integration::cluster::eventually("no virtual server", || {
        let left = trimtab_integration::cluster::witness::ipvsadm(node)?;
        Ok(left.is_empty().then_some(()))
    })
    .unwrap();
    let after = proxy.log();
    assert!(!after[before.len()..].contains("DEBUG"), "{after}");
}
